# Stoa. `make` builds build/release/stoa, `make run` starts it, `make test` tests it.
#
#   BUILD=release|debug|asan|tsan|fuzz   the kind of build; it goes to $(OUT)/$(BUILD)
#   T=base_                              only the C tests whose file names begin so
#   SRC_DIRS="base core"                 only these folders of src/ go into libstoa.a
#   CI=true                              a warning is an error
#   V=1                                  show whole commands
#
# Every .c below src/ but main.c goes into libstoa.a, which the server, the tests and the fuzzers link.
# A new source, test (test/{unit,store,sim}/NAME_test.c) or fuzzer (test/fuzz/NAME_fuzz.c) needs no line here.

BUILD ?= release
OUT ?= build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 10
SRC_DIRS ?= base core link store http api net tool

B := $(OUT)/$(BUILD)
LLHTTP := /usr/share/llhttp
LIBS := -luv -lhiredis -lprotobuf-c -ljansson -lsqlite3 -lssl -lcrypto -linih -lpthread -lm

# --- flags -------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wvla -Wundef -Wformat=2 -Wstrict-prototypes \
            -Wmissing-prototypes -Wcast-qual -Wwrite-strings $(if $(CI),-Werror)
CPPFLAGS = -D_GNU_SOURCE -DLLHTTP_STRICT_MODE=1 -isystem /usr/share/include/llhttp -isystem $(B)/gen
BASE_FLAGS := -std=gnu17 -g -fno-common -fPIE -MMD -MP
OUR_FLAGS := $(WARNINGS) -Isrc -include src/base/banned.h

CC_release := gcc
CC_debug := gcc
CC_asan := gcc
CC_tsan := gcc
CC_fuzz := clang-14
CC := $(CC_$(BUILD))
$(if $(CC),,$(error BUILD is one of release, debug, asan, tsan, fuzz, not "$(BUILD)"))

CFLAGS_release := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
CFLAGS_debug := -Og
CFLAGS_asan := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan := -O1 -fno-omit-frame-pointer -fsanitize=thread
CFLAGS_fuzz := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
               -fno-sanitize-recover=all
CFLAGS := $(BASE_FLAGS) $(CFLAGS_$(BUILD))
LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack

# --- files -------------------------------------------------------------------------------------------

SRCS := $(wildcard $(SRC_DIRS:%=src/%/*.c))
TEST_SRCS := $(wildcard $(addsuffix /$(T)*_test.c,test/unit test/store test/sim))
FUZZ_SRCS := $(wildcard test/fuzz/$(T)*_fuzz.c)
BENCH_SRCS := $(wildcard bench/*.c)
# What the tests of a folder share: every .c there that is not itself a test.
SHARED_SRCS := $(filter-out %_test.c %_fuzz.c,$(wildcard test/unit/*.c test/store/*.c test/sim/*.c))
NODE_TESTS = $(shell find web/test test/e2e test/cluster test/browser -name '*[._-]test.*js' 2>/dev/null | sort)
E2E_TESTS = $(filter test/e2e/%,$(NODE_TESTS))
OUR_FILES = $(wildcard src/*.[ch] src/*/*.[ch] test/*.[ch] test/*/*.[ch] bench/*.[ch])

PROTOS := $(wildcard src/*/*.proto)
GEN := $(PROTOS:src/%.proto=$(B)/gen/%.pb-c.c)
LIB_OBJS := $(SRCS:%.c=$(B)/obj/%.o) $(addprefix $(B)/obj/llhttp/,api.o http.o llhttp.o) \
            $(GEN:%.c=%.o)
SHARED_OBJS := $(SHARED_SRCS:%.c=$(B)/obj/%.o)
TEST_OBJS := $(TEST_SRCS:%.c=$(B)/obj/%.o)
FUZZ_OBJS := $(FUZZ_SRCS:%.c=$(B)/obj/%.o)
BENCH_OBJS := $(BENCH_SRCS:%.c=$(B)/obj/%.o)
TESTS := $(TEST_SRCS:test/%.c=$(B)/test/%)
FUZZERS := $(FUZZ_SRCS:test/%.c=$(B)/test/%)
BENCHES := $(BENCH_SRCS:%.c=$(B)/%)
# The console is bundled: its modules, and uPlot from npm.
CONSOLE := $(addprefix $(B)/web/console.,js css)
ESBUILD := web/node_modules/.package-lock.json

# --- build -------------------------------------------------------------------------------------------

# $(call say,CC) starts a command by a line of two words, or shows the command.
say = $(if $(V),,@printf '%-4s %s\n' $(1) $@;)

MAKEFLAGS += -r
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
.DELETE_ON_ERROR:
.PHONY: all lib tests fuzzers run test test-c test-js check check-one fuzz fuzz-run fmt fmt-check tidy \
        layers bench bench-run install clean setup-build setup-test setup-bench

all: $(B)/stoa
lib: $(B)/libstoa.a
tests: $(TESTS)
fuzzers: $(FUZZERS)

$(B)/stoa: $(B)/obj/src/main.o $(B)/libstoa.a
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# Made anew each time, so that a deleted source leaves no object behind.
$(B)/libstoa.a: $(LIB_OBJS)
$(B)/libtest.a: $(SHARED_OBJS)
$(B)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(B)/obj/llhttp/%.o: $(LLHTTP)/%.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) -w -c -o $@ $<

# The messages between nodes; protobuf-c writes the code, which is never in src/.
$(GEN): $(B)/gen/%.pb-c.c: src/%.proto
	@mkdir -p $(@D)
	$(call say,PB)protoc-c --c_out=$(B)/gen -Isrc $<

$(B)/gen/%.o: $(B)/gen/%.c
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) -w -c -o $@ $<

$(B)/obj/%.o: %.c | $(GEN)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) $(OUR_FLAGS) -c -o $@ $<

# The files of the pages are compiled in by .incbin, which -MMD does not see.
$(B)/obj/src/api/assets.o: $(wildcard web/*.* web/sdk/* web/console/*.html) $(CONSOLE)
$(B)/obj/src/api/assets.o: CFLAGS += -Wa,-I.,-I$(B)

# So are the functions inside Redis.
$(B)/obj/src/store/redis_library.o: $(wildcard src/store/*.lua)
$(B)/obj/src/store/redis_library.o: CFLAGS += -Wa,-I.

$(CONSOLE) &: web/build.mjs web/element.mjs $(wildcard web/console/*) $(ESBUILD)
	$(call say,JS)node $< $(@D)

$(ESBUILD): web/package-lock.json
	@scripts/setup.sh npm

$(B)/obj/test/%.o: OUR_FLAGS += -Itest -Wno-unused-parameter

$(TESTS): $(B)/test/%: $(B)/obj/test/%.o $(B)/libtest.a $(B)/libstoa.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS)

$(FUZZERS): $(B)/test/%: $(B)/obj/test/%.o $(B)/libstoa.a
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

$(BENCHES): $(B)/bench/%: $(B)/obj/bench/%.o $(B)/libstoa.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(patsubst %.o,%.d,$(LIB_OBJS) $(SHARED_OBJS) $(TEST_OBJS) $(FUZZ_OBJS) $(BENCH_OBJS) $(B)/obj/src/main.o)

# --- run and test ------------------------------------------------------------------------------------

setup-build setup-test setup-bench:
	@scripts/setup.sh $(@:setup-%=%)

run: setup-build
	@$(MAKE) all
	$(B)/stoa serve --dev $(ARGS)

test: setup-test
	@$(MAKE) all tests
	@$(MAKE) test-c
	@$(MAKE) test-js

# Where addresses are too random for ThreadSanitizer's map, it dies at the start.
FIXED_ADDRESSES = $(if $(filter tsan,$(BUILD)),$(shell setarch -R true 2>/dev/null && echo setarch -R))

test-c: tests
	@$(FIXED_ADDRESSES) scripts/run-tests.sh $(TESTS)

test-js: $(B)/stoa
	$(if $(NODE_TESTS),STOA_BIN=$(abspath $(B)/stoa) node --test --test-concurrency=2 --test-reporter=spec $(NODE_TESTS))

check: setup-test
	@$(MAKE) BUILD=asan check-one
	@$(MAKE) BUILD=tsan check-one

check-one: test-c $(B)/stoa
	$(if $(E2E_TESTS),STOA_BIN=$(abspath $(B)/stoa) $(FIXED_ADDRESSES) \
		node --test --test-concurrency=2 --test-reporter=spec $(E2E_TESTS))

fuzz:
	@$(MAKE) BUILD=fuzz fuzz-run

fuzz-run: fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/run-fuzz.sh $(FUZZERS)

bench: setup-bench
	@$(MAKE) bench-run

bench-run: $(B)/stoa $(BENCHES)
	@for script in $(wildcard bench/*.sh); do echo "== $$script"; bash $$script || exit 1; done

# --- the text itself ---------------------------------------------------------------------------------

fmt:
	clang-format-14 -i $(OUR_FILES)

fmt-check:
	clang-format-14 --dry-run --Werror $(OUR_FILES)

tidy: $(GEN)
	printf '%s\n' $(SRCS) $(wildcard src/main.c) | xargs -P $$(nproc) -n 8 sh -c \
		'clang-tidy-14 --quiet "$$@" -- -std=gnu17 $(CPPFLAGS) -Isrc -include src/base/banned.h' tidy

layers:
	@scripts/layers.sh

# --- the rest ----------------------------------------------------------------------------------------

install: $(B)/stoa
	install -D -m 755 $(B)/stoa $(DESTDIR)$(PREFIX)/bin/stoa
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/stoa LICENSE NOTICE $(wildcard docs/*.md)

clean:
	rm -rf $(OUT)
