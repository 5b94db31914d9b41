/* main.c: the front door: argv → a table of subcommands → done. */
#include "proxy/admin/api.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "version") == 0) {
        puts("pointsman " POINTSMAN_VERSION);
        return 0;
    }
    fputs("usage: pointsman version\n", stderr);
    return 2;
}
