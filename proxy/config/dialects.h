/* dialects.h: the families of protocols, as the configuration names them. */
#ifndef POINTSMAN_DIALECTS_H
#define POINTSMAN_DIALECTS_H

/* How to authenticate, name errors, list models. Names in dialect.c and options.def. */
enum dialect {
    DIALECT_OPENAI,
    DIALECT_OPENAI_RESPONSES, /* a provider spoken to by the Responses API alone */
    DIALECT_ANTHROPIC,
    DIALECT_GEMINI,
    DIALECT_AZURE,
    DIALECT_COUNT
};

#endif
