/* unwrap.c: see unwrap.h. */
#include "proxy/dialect/unwrap.h"

static enum ir_finish finish_of(const struct unwrap *u, enum ir_finish finish)
{
    return finish == IR_FINISH_TOOLS && u->said && !u->called ? IR_FINISH_STOP : finish;
}

bool unwrap_event(struct unwrap *u, struct ir_event *ev)
{
    if (!u->tool.p)
        return true;
    switch (ev->kind) {
    case IR_EV_CALL_START:
        u->inside = str_eq(ev->name, u->tool);
        u->said |= u->inside;
        u->called |= !u->inside;
        return !u->inside;
    case IR_EV_CALL_ARGS:
        if (u->inside)
            ev->kind = IR_EV_TEXT;
        return !u->inside || ev->text.n > 0;
    case IR_EV_PART_END:
        u->inside = false;
        return true;
    case IR_EV_FINISH:
        ev->finish = finish_of(u, ev->finish);
        return true;
    default:
        return true;
    }
}

void unwrap_answer(struct ir_answer *answer, struct str tool, struct arena *a)
{
    for (struct ir_choice *c = answer->choices; c && tool.p; c = c->next) {
        struct unwrap u = {.tool = tool};
        for (struct ir_part *p = c->parts; p; p = p->next) {
            bool ours = p->kind == IR_CALL && str_eq(p->name, tool);
            u.said |= ours;
            u.called |= p->kind == IR_CALL && !ours;
            if (!ours)
                continue;
            p->kind = IR_TEXT;
            p->text = p->arguments.p ? ir_text_of(a, p->arguments) : p->broken;
            p->signature = STR_NULL;
        }
        c->finish = finish_of(&u, c->finish);
    }
}
