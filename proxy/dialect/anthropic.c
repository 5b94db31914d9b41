/* anthropic.c: the Messages spoke: Anthropic and all who speak it. */
#include "proxy/dialect/anthropic.h"

const struct spoke spoke_messages = {
    .wire = WIRE_MESSAGES,
    .read_request = messages_read_request,
    .write_request = messages_write_request,
    .read_answer = messages_read_answer,
    .write_answer = messages_write_answer,
    .reader_size = sizeof(struct messages_reader),
    .writer_size = sizeof(struct messages_writer),
    .read_event = messages_read_event,
    .read_end = messages_read_end,
    .reader_fini = messages_reader_fini,
    .write_event = messages_write_event,
    .writer_fini = messages_writer_fini,
};
