/* gemini.c: the Gemini spoke: generateContent and streamGenerateContent. */
#include "proxy/dialect/gemini.h"

const struct spoke spoke_generate = {
    .wire = WIRE_GENERATE,
    .read_request = gemini_read_request,
    .write_request = gemini_write_request,
    .read_answer = gemini_read_answer,
    .write_answer = gemini_write_answer,
    .reader_size = sizeof(struct gemini_reader),
    .writer_size = sizeof(struct gemini_writer),
    .read_event = gemini_read_event,
    .read_end = gemini_read_end,
    .reader_fini = gemini_reader_fini,
    .write_event = gemini_write_event,
    .writer_fini = gemini_writer_fini,
};
