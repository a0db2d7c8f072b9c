/* Message ids: a hybrid logical clock (Kulkarni et al. 2014, its physical part in milliseconds).
 *
 * 64 bits: milliseconds since 1970 << 20 | n, written "ms-n". The store gives them, strictly
 * increasing per room over both lists, whatever its clock does: a clock that stands or steps back
 * only counts n up. Being time, they are not given twice after a failover or a restart. 0 is
 * "before the first". */
#ifndef STOA_CORE_ID_H
#define STOA_CORE_ID_H

#include "base/str.h"

#define ID_SEQ_BITS 20
#define ID_TEXT_MAX 24 /* with the terminator */

uint64_t id_next(uint64_t last, int64_t now_ms);
int64_t id_ms(uint64_t id);
/* Writes a terminated text, returns its length. */
size_t id_format(uint64_t id, char ret_text[ID_TEXT_MAX]);
/* 0, or ERR_BAD_REQUEST. */
int id_parse(struct str text, uint64_t *ret_id);

#endif
