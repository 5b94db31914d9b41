# pointsman: one file, pkg-config, no configure step. `make help` lists what a person types.
MAKEFLAGS += --no-builtin-rules
PREFIX ?= /usr/local
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CC ?= cc
ifeq ($(origin CC),default)
CC = cc
endif

LIBS = libmicrohttpd libcurl sqlite3 libcjson ncursesw libsodium libzstd yaml-0.1 zlib
TEST_LIBS = cmocka vterm

# MODE: release (default), debug (ASan + UBSan), tsan, fuzz (clang). Each has its own build folder.
MODE ?= release
BUILD = build$(if $(filter-out release,$(MODE)),/$(MODE))

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
       -Wno-missing-field-initializers $(if $(CI),$(WERROR_$(MODE)))
# only there: sanitizers and other compilers see other things, and find them by running
WERROR_release = -Werror
HARDEN = -fstack-protector-strong -fPIE -fno-strict-aliasing
OPT_release = -O2 -g -D_FORTIFY_SOURCE=2
OPT_debug = -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
OPT_tsan = -O1 -g -fsanitize=thread -fno-omit-frame-pointer
OPT_fuzz = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
LD_release = -Wl,-z,relro,-z,now
LD_debug = -fsanitize=address,undefined
LD_tsan = -fsanitize=thread
LD_fuzz = -fsanitize=address,undefined

CPPFLAGS += -D_GNU_SOURCE -I. -I$(BUILD)
$(BUILD)/obj/tui/theme.o: CPPFLAGS += -DPOINTSMAN_SHARE='"$(PREFIX)/share/pointsman"'
CFLAGS += -std=c11 -pthread $(OPT_$(MODE)) $(HARDEN) $(WARN)
LDFLAGS += -pie -pthread $(LD_$(MODE)) -Wl,--as-needed

SRC = $(wildcard store/*.c store/*/*.c proxy/*.c proxy/*/*.c tui/*.c tui/*/*.c)
OBJ = $(SRC:%.c=$(BUILD)/obj/%.o)
LIB_OBJ = $(filter-out $(BUILD)/obj/proxy/main.o,$(OBJ))
UNIT_SRC = $(wildcard tests/unit/test_*.c tests/store/test_*.c tests/tui/test_*.c)
UNIT = $(UNIT_SRC:tests/%.c=$(BUILD)/tests/%)
TOOL_SRC = $(wildcard tests/mock/*.c tests/bench/*.c)
TOOLS = $(TOOL_SRC:tests/%.c=$(BUILD)/tests/%)
PRELOAD_SRC = $(wildcard tests/fault/*.c)
PRELOAD = $(PRELOAD_SRC:tests/%.c=$(BUILD)/tests/%.so)
FUZZ_SRC = $(wildcard tests/fuzz/fuzz_*.c)
FUZZ = $(FUZZ_SRC:tests/%.c=$(BUILD)/tests/%)

ifneq ($(MAKECMDGOALS),)
SKIP_PKG = $(filter deps test-deps help clean,$(MAKECMDGOALS))
endif
ifeq ($(SKIP_PKG),)
CPPFLAGS += $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
LDLIBS += $(shell pkg-config --libs $(LIBS) 2>/dev/null) -lm
TEST_LDLIBS += $(shell pkg-config --libs $(TEST_LIBS) 2>/dev/null)
endif

.DEFAULT_GOAL = all
.PHONY: all run check debug tsan bench fuzz soak install deps test-deps help clean unit tools

all: $(BUILD)/pointsman ## build build/pointsman

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

# As root the folder must be named: its files would belong to root.
RUN_AS_ROOT = $(if $(filter 0,$(shell id -u)),--data $(HOME)/.local/share/pointsman)

run: deps ## install what is missing, build, start the gateway and the console
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(BUILD)/pointsman $(RUN_AS_ROOT)

check: deps test-deps ## build and run every test; ends with "N passed, N failed"
	@$(MAKE) --no-print-directory -j$(JOBS) all unit tools
	@python3 tests/run.py --build $(BUILD) $(SUITES)

debug: ## build with ASan and UBSan into build/debug
	@$(MAKE) --no-print-directory MODE=debug -j$(JOBS) all unit tools

tsan: ## build with TSan into build/tsan
	@$(MAKE) --no-print-directory MODE=tsan -j$(JOBS) all unit tools

bench: all tools ## measure against nginx in the same run
	@python3 tests/bench/run.py --build $(BUILD)

fuzz: ## each fuzz harness for FUZZ_SECONDS (20)
	@$(MAKE) --no-print-directory MODE=fuzz CC=clang -j$(JOBS) fuzz-all
	@python3 tests/fuzz/run.py --build build/fuzz --seconds $(or $(FUZZ_SECONDS),20)

soak: all unit tools ## the long checks; prints a table for the README
	@python3 tests/soak.py --build $(BUILD)

install: all ## copy binary, themes, manual, completion and systemd service below PREFIX (/usr/local); DESTDIR is honoured
	install -D -m 755 $(BUILD)/pointsman $(DESTDIR)$(PREFIX)/bin/pointsman
	install -d $(DESTDIR)$(PREFIX)/share/pointsman/themes
	install -m 644 themes/*.theme $(DESTDIR)$(PREFIX)/share/pointsman/themes/
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(BUILD)/pointsman help --man > $(DESTDIR)$(PREFIX)/share/man/man1/pointsman.1
	$(BUILD)/pointsman help --bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/pointsman
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|' proxy/pointsman.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/pointsman.service

deps:
	@sh tests/deps.sh run $(LIBS)

test-deps: deps
	@sh tests/deps.sh test $(TEST_LIBS)

clean: ## forget everything built
	rm -rf build

unit: $(UNIT)
tools: $(TOOLS) $(PRELOAD)
.PHONY: fuzz-all
fuzz-all: $(FUZZ)

$(BUILD)/pointsman: $(OBJ)
	@echo "  link    $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/libpointsman.a: $(LIB_OBJ)
	@rm -f $@
	@ar rcs $@ $^

# The built-in themes are the very files that users copy.
THEMES = $(sort $(wildcard themes/*.theme))
$(BUILD)/gen/themes.inc: $(THEMES) Makefile
	@mkdir -p $(@D)
	@echo "  themes  $@"
	@{ for f in $(THEMES); do echo "static const char text_$$(basename $$f .theme | tr - _)[] = {"; \
	    od -An -v -tu1 $$f | sed 's/\([0-9][0-9]*\)/\1,/g'; echo "};"; done; \
	  echo "static const struct built_in built_ins[] = {"; \
	  for f in $(THEMES); do n=$$(basename $$f .theme); v=$$(echo $$n | tr - _); \
	    echo "    {\"$$n\", text_$$v, sizeof text_$$v},"; done; echo "};"; } > $@

$(BUILD)/obj/tui/theme.o: $(BUILD)/gen/themes.inc

# Built for size is what runs for a person, a few times a second at most: the console, the control socket,
# the configuration. For speed: what every request passes, and what walks over millions of rows.
ROWS_SRC = proxy/admin/filter.c proxy/admin/whatif%.c proxy/admin/reprice.c
SMALL_SRC = $(filter-out $(ROWS_SRC), $(filter tui/% proxy/admin/% proxy/config/% proxy/demo/%, $(SRC)))
ifeq ($(MODE),release)
$(SMALL_SRC:%.c=$(BUILD)/obj/%.o): CFLAGS += -Os
endif

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  cc      $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(BUILD)/libpointsman.a
	@mkdir -p $(@D)
	@echo "  fuzzer  $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer,address,undefined -MMD -MP -o $@ $< $(BUILD)/libpointsman.a $(LDFLAGS) $(LDLIBS)

# without sanitizers: it stands between a program and its allocator
$(BUILD)/tests/fault/%.so: tests/fault/%.c Makefile
	@mkdir -p $(@D)
	@echo "  preload $<"
	@$(CC) $(CPPFLAGS) -std=c11 -O1 -g $(WARN) -fPIC -shared -o $@ $< -ldl

# what several tests of the dialects share
IR_CHECK = $(BUILD)/obj/tests/unit/ir_check.o
$(patsubst %,$(BUILD)/tests/unit/test_%,ir_chat ir_custom ir_dropped ir_gemini ir_media ir_mutated ir_responses ir_random ir_stream translate citations): $(IR_CHECK)

# the person of the console's tests
DESK = $(BUILD)/obj/tests/tui/desk.o
$(filter $(BUILD)/tests/tui/%,$(UNIT)): $(DESK)

$(BUILD)/tests/%: tests/%.c $(BUILD)/libpointsman.a
	@mkdir -p $(@D)
	@echo "  test    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -o $@ $< $(filter %.o,$^) $(BUILD)/libpointsman.a $(LDFLAGS) $(LDLIBS) $(TEST_LDLIBS)

-include $(OBJ:.o=.d) $(IR_CHECK:.o=.d) $(DESK:.o=.d) $(UNIT:%=%.d) $(TOOLS:%=%.d) $(FUZZ:%=%.d)
