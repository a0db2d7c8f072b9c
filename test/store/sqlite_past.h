/* Steps back from today's schema of the SQLite store to those before it, for tests that such a file
 * is taken: what the newest step of the schema made, undone. */
#ifndef STOA_TEST_STORE_SQLITE_PAST_H
#define STOA_TEST_STORE_SQLITE_PAST_H

/* Till version 4, in `tails`, each list's end was kept beside its messages. */
#define SQLITE_BACK_TO_TAILS                                                                       \
    "CREATE TABLE tails (room_id INTEGER NOT NULL, list INTEGER NOT NULL,"                         \
    "  tail INTEGER NOT NULL DEFAULT 0, ordinal INTEGER NOT NULL DEFAULT 0,"                       \
    "  trimmed INTEGER NOT NULL DEFAULT 0, trimmed_ordinal INTEGER NOT NULL DEFAULT 0,"            \
    "  PRIMARY KEY (room_id, list)) WITHOUT ROWID;"                                                \
    "INSERT INTO tails SELECT room_id, list,"                                                      \
    "  max(trimmed, coalesce((SELECT max(id) FROM messages AS m"                                   \
    "    WHERE m.room_id = floors.room_id AND m.list = floors.list), 0)),"                         \
    "  max(trimmed_ordinal, coalesce((SELECT max(ordinal) FROM messages AS m"                      \
    "    WHERE m.room_id = floors.room_id AND m.list = floors.list), 0)),"                         \
    "  trimmed, trimmed_ordinal FROM floors;"                                                      \
    "DROP TABLE floors;"

#endif
