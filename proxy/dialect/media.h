/* media.h: images, sound and files that only some dialects can say, and files that only their maker
 * has.
 *
 *     if (media_is_elsewhere(p, WIRE_MESSAGES))      // an OpenAI file_id at Anthropic
 *         media_drop_file(notes, p);
 *     media_dropped(notes, &p->media);               // "content.image": no word for it here
 *
 * Pure. */
#ifndef POINTSMAN_MEDIA_H
#define POINTSMAN_MEDIA_H

#include "proxy/dialect/ir.h"

/* A file that was given to a provider of another house: its id, or address, means nothing there. */
bool media_is_elsewhere(const struct ir_part *p, enum wire to);
void media_drop_file(struct ir_notes *notes, const struct ir_part *p);
/* It has no form here. */
void media_dropped(struct ir_notes *notes, const struct ir_media *m);

/* The sound of an answer as one text of base64: pieces one after the other, raw samples with a WAV
 * header before them where `wav`. */
void media_put_sound(struct buf *out, const struct ir_part *parts, bool wav);
/* Are these samples without a header ("audio/L16;rate=24000")? */
bool media_is_raw_sound(const struct ir_media *m);

#endif
