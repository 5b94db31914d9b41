/* sift.c: see sift.h. */
#include "tui/widgets/sift.h"

void sift_open(struct sift *s)
{
    s->typing = true;
}

enum sift_did sift_key(struct sift *s, int key)
{
    bool some = s->edit.n > 0;
    if ((key == 27 && (s->typing || some)) || (key == 3 && s->typing)) {
        *s = (struct sift){0};
        return some ? SIFT_CHANGED : SIFT_TAKEN;
    }
    if (!s->typing)
        return SIFT_NOTHING;
    if (key == '\r') {
        s->typing = false;
        return SIFT_TAKEN;
    }
    return edit_key(&s->edit, key) ? SIFT_CHANGED : SIFT_NOTHING;
}

bool sift_passes(const struct sift *s, struct str text)
{
    struct str words = str_n(s->edit.text, s->edit.n), word;
    while (str_cut(&words, ' ', &word)) {
        bool without = word.n > 1 && word.p[0] == '-';
        if (without)
            word = str_from(word, 1);
        if (word.n && (str_find_nocase(text, word) >= 0) == without)
            return false;
    }
    return true;
}

bool sift_shown(const struct sift *s, struct rect r)
{
    return (s->typing || s->edit.n) && r.h > 1;
}

void sift_draw(const struct sift *s, struct app *a, struct rect r, size_t shown, size_t all)
{
    int room = MAX(r.w / 2, 10);
    if (!sift_shown(s, r))
        return;
    ui_put(r.y, r.x + 1, 1, ROLE_BAR_KEY, "/");
    if (s->typing)
        edit_draw(&s->edit, r.y, r.x + 3, room, ROLE_INPUT, a);
    else
        ui_put(r.y, r.x + 3, room, ROLE_INPUT, s->edit.text);
    ui_printf(r.y, r.x + room + 5, r.w - room - 6, ROLE_DIM, "%zu of %zu   %s", shown, all,
        s->typing ? "Enter keep  Esc drop" : "Esc drops");
}
