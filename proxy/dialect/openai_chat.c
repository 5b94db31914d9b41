/* openai_chat.c: the chat spoke: OpenAI's chat completions and all who speak it. */
#include "proxy/dialect/openai_chat.h"

const struct spoke spoke_chat = {
    .wire = WIRE_CHAT,
    .read_request = chat_read_request,
    .write_request = chat_write_request,
    .read_answer = chat_read_answer,
    .write_answer = chat_write_answer,
    .reader_size = sizeof(struct chat_reader),
    .writer_size = sizeof(struct chat_writer),
    .read_event = chat_read_event,
    .read_end = chat_read_end,
    .reader_fini = chat_reader_fini,
    .write_event = chat_write_event,
    .writer_fini = chat_writer_fini,
};
