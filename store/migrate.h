/* migrate.h: brings a file to the newest numbered step, each step in one transaction. */
#ifndef POINTSMAN_STORE_MIGRATE_H
#define POINTSMAN_STORE_MIGRATE_H

#include "store/backend.h"

enum migrate_file { MIGRATE_MAIN, MIGRATE_BODIES };

/* -ERR_UNSUPPORTED when the file was written by a newer version. */
int migrate(struct db *db, enum migrate_file file, struct err *e) MUST_CHECK;

#endif
