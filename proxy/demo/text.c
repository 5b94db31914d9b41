/* text.c: see text.h. */
#include "proxy/demo/text.h"

static const char *const topics[][10] = {
    {"The failure starts in the retry path, not in the parser.",
        "When the first attempt times out, the buffer still holds half of the old frame.",
        "The second attempt appends to it, so the length check passes with the wrong bytes.",
        "I would reset the buffer where the attempt begins and assert that it is empty.",
        "A test can force this by cutting the connection after the ninth byte.",
        "The same shape appears in the upload handler, two calls further down.",
        "Nothing else reads that field, so the change stays local.",
        "After the fix the two flaky tests passed fifty times in a row.",
        "I left the log line in place, since it was the one that showed the order of events.",
        "If you agree, I will open the change as two commits: the test first, then the fix."},
    {"Group the orders by week before you join them with the refunds.",
        "Otherwise each refund is counted once for every line of its order.",
        "A window function does it in one pass and keeps the query readable.",
        "The index on the customer column is not used, because the cast hides it.",
        "Dropping the cast takes the plan from a full scan to a few hundred rows.",
        "For the dashboard I would store the weekly totals and refresh them hourly.",
        "The three weeks in March look odd because the import ran twice.",
        "Removing the duplicates changes the total by less than one percent.",
        "I checked the result against the ledger for two customers by hand.",
        "Both agree to the cent."},
    {"Thank you for writing, and I am sorry that the parcel is late.",
        "It left our warehouse on Tuesday and has been at the sorting centre since.",
        "The carrier expects to deliver it on Friday before noon.",
        "If it is not there by then, we will send a new one the same day.",
        "You do not have to return the first parcel if it arrives later.",
        "I have added a note to your order, so you will not need to explain this again.",
        "The refund for the express fee is on its way to your card.",
        "It usually takes three working days to appear.",
        "Please tell us whether the side door is still the right place to leave it.",
        "Have a pleasant rest of the week."},
    {"The proposal moves the nightly report to the new cluster in two steps.",
        "First both clusters run it, and the results are compared row by row.",
        "Only when seven nights agree is the old job switched off.",
        "The main risk is the time zone of the source tables, which differs by an hour.",
        "Two teams read the report before eight, so a late run would be noticed.",
        "The cost falls by about a third, mostly from storage that is no longer copied.",
        "No consumer has to change anything until the last step.",
        "The owner of the old job leaves in June, which sets the date.",
        "Open questions are the access rights of the auditors and the archive.",
        "A short call on Thursday should be enough to settle both."},
    {"The function does three things: it reads the header, checks it, and opens the file.",
        "I would split it there, since only the check can be tested without a disk.",
        "The error from the open call is dropped; it should reach the caller with the path.",
        "The loop runs once too often when the list ends in an empty line.",
        "A small table of names and limits would replace the four nested conditions.",
        "The comment above the cache describes what the code did a year ago.",
        "Renaming the flag to what it permits makes the call sites read well.",
        "I kept the public signature, so nothing outside of this folder changes.",
        "The build is clean with warnings as errors.",
        "Next I would look at the two callers that ignore the return value."},
    {"Start with the smallest unit that can fail on its own.",
        "Write down what it promises before you write how it keeps the promise.",
        "If two promises need the same lock, they probably belong together.",
        "Measure before you make it faster; the slow part is rarely where it is expected.",
        "Here most of the time goes into waiting for the disk to confirm the write.",
        "Putting several writes into one confirmation helps more than any other change.",
        "The price is that the last few milliseconds may be lost when the power fails.",
        "Say that in the documentation, in one plain sentence.",
        "Then a reader can decide whether it matters for them.",
        "Most will be glad about the speed."},
};

static const char *const code[] = {
    "```c\nif (used + wanted > limit)\n    return -ERR_LIMIT;\nused += wanted;\n```",
    "```sql\nselect week, sum(amount) - sum(refund) as net\nfrom weekly\ngroup by week\norder by "
    "week;\n```",
    "```python\nfor attempt in range(3):\n    buffer.clear()\n    if send(buffer):\n        "
    "break\n```",
    "```sh\ngit bisect start HEAD v2.3\ngit bisect run make check\n```",
};

static const char *const questions[] = {
    "Why does the upload test fail only every tenth time?",
    "Read src/retry.c and tell me where the old bytes come from.",
    "Summarise this thread for the people who join on Monday.",
    "Write a friendly answer to the customer whose parcel is late.",
    "The weekly totals are too high since March. What is wrong with the query?",
    "Please review the change below and name only what must be fixed.",
    "Which of these functions would you split first, and why?",
    "Add a test for the case that the list ends in an empty line.",
    "What would it cost to keep the archive for another year?",
    "Translate the release note into plain English, five sentences at most.",
    "Now run the tests again and fix what is left.",
    "Looks good. Continue with the second file.",
};

static const struct {
    const char *name, *arguments;
} tools[] = {
    {"read_file", "{\"path\": \"src/retry.c\", \"offset\": 0, \"limit\": 200}"},
    {"read_file", "{\"path\": \"tests/upload_test.c\", \"offset\": 120, \"limit\": 80}"},
    {"search", "{\"pattern\": \"buffer_reset\\\\(\", \"path\": \"src\"}"},
    {"run_command", "{\"command\": \"make -s check\", \"timeout_s\": 120}"},
    {"edit_file", "{\"path\": \"src/retry.c\", \"old\": \"attempt_begin(a);\", \"new\": "
                  "\"buffer_reset(&a->in);\\n    attempt_begin(a);\"}"},
};

static const char *const results[] = {
    "src/retry.c:88:    attempt_begin(a);\nsrc/retry.c:141:    attempt_begin(next);\n2 matches in "
    "1 file\n",
    "ok 1 - reads a frame\nok 2 - refuses a short frame\nnot ok 3 - retries after a cut\n1..3\n"
    "make: *** [check] Error 1\n",
    "ok 1 - reads a frame\nok 2 - refuses a short frame\nok 3 - retries after a cut\n1..3\n",
    "static int attempt_send(struct attempt *a)\n{\n    size_t n = frame_length(&a->in);\n    if "
    "(n > "
    "FRAME_MAX)\n        return -ERR_LIMIT;\n    return socket_write(a->fd, a->in.p, n);\n}\n",
};

const char demo_text_system[] = "You are a careful programming assistant working in a repository "
                                "through tools. Read before you "
                                "write, change as little as possible, run the tests after every "
                                "change, and say plainly what you "
                                "did and what is left. Never guess the contents of a file. Prefer "
                                "one small commit for one reason.";

void demo_text_answer(struct buf *out, struct demo_random *r, unsigned sentences)
{
    const char *const *topic = topics[demo_random_below(r, ARRAY_LEN(topics))];
    size_t per_topic = ARRAY_LEN(topics[0]);
    for (unsigned i = 0; i < sentences; i++) {
        if (i && i % per_topic == 0) {
            topic = topics[demo_random_below(r, ARRAY_LEN(topics))];
            buf_puts(out, "\n\n");
        } else if (i) {
            buf_putc(out, ' ');
        }
        buf_puts(out, topic[i % per_topic]);
        if (i == 3 && sentences > 5 && demo_random_chance(r, 0.4))
            buf_printf(out, "\n\n%s\n\n", code[demo_random_below(r, ARRAY_LEN(code))]);
    }
}

void demo_text_question(struct buf *out, struct demo_random *r)
{
    buf_puts(out, questions[demo_random_below(r, ARRAY_LEN(questions))]);
}

void demo_text_tool(struct demo_random *r, const char **name, const char **arguments)
{
    unsigned i = demo_random_below(r, ARRAY_LEN(tools));
    *name = tools[i].name;
    *arguments = tools[i].arguments;
}

void demo_text_tool_result(struct buf *out, struct demo_random *r)
{
    buf_puts(out, results[demo_random_below(r, ARRAY_LEN(results))]);
}
