# obsagent: everything is built from here. `make run` and `make test` need nothing but root, apt and this clone.

VARIANT ?= release
V ?= @

B := build/$(VARIANT)

# Sanitizer builds see through fewer functions, so these two warn about what cannot be there.
QUIET := -Wno-format-truncation -Wno-maybe-uninitialized
ifeq ($(VARIANT),asan)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT := -O1
else ifeq ($(VARIANT),tsan)
SAN := -fsanitize=thread -fno-omit-frame-pointer
OPT := -O1
else ifeq ($(VARIANT),clang)
CC := clang
CXX := clang++
else ifeq ($(VARIANT),fuzz)
CC := clang
CXX := clang++
SAN := -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
OPT := -O1
endif
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
OPT ?= -O2

PKGS := libcurl libmicrohttpd libprotobuf-c yaml-0.1 re2 jansson libcares libzstd libxxhash zlib libcrypto
ISAL := $(shell pkg-config --exists libisal 2>/dev/null && echo libisal)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) $(ISAL) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) $(ISAL) 2>/dev/null) -lsnappy -lcrypt -lresolv -lpthread -lm

WARN := -Wall -Wextra -Wshadow -Wconversion -Wwrite-strings -Wformat=2 -Wvla -Werror
CPPFLAGS += -Iinclude -I$(B)/gen -D_GNU_SOURCE $(PKG_CFLAGS) $(if $(ISAL),-DHAVE_ISAL)
CFLAGS := -std=c11 $(OPT) -g $(WARN) -Wstrict-prototypes -Wmissing-prototypes $(SAN) $(if $(filter asan tsan,$(VARIANT)),$(QUIET))
CXXFLAGS := -std=c++17 $(OPT) -g -Wall -Wextra -Wshadow -Werror $(SAN)

SRCS := $(filter-out agent/main.c,$(wildcard agent/*.c agent/*/*.c scrape/*.c scrape/*/*.c relabel/*.c))
CXX_SRCS := $(wildcard relabel/*.cc)
PROTOS := $(wildcard agent/remote/*.proto scrape/parse/*.proto)
GEN := $(foreach p,$(PROTOS),$(B)/gen/$(basename $(notdir $(p))).pb-c)
ASSETS := $(patsubst agent/web/assets/%,$(B)/gen/%.inc,$(wildcard agent/web/assets/*))
LIB_OBJS := $(SRCS:%.c=$(B)/obj/%.o) $(CXX_SRCS:%.cc=$(B)/obj/%.cc.o) $(GEN:%=%.o)
LIB := $(B)/libobsagent.a
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,build/fuzz/bin/%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY := $(patsubst tests/fuzz/fuzz_%.c,$(B)/replay/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH := $(patsubst tests/bench/%.c,build/release/bench/%,$(wildcard tests/bench/*.c))
FUZZ_SECONDS ?= 60
PREFIX ?= /usr/local

.PHONY: all binary deps run screenshots manual test test-unit test-e2e test-k8s test-tsan fuzz bench soak install format tidy clean unit-binaries fuzz-binaries replay-binaries bench-binaries peers sources objects ALWAYS
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

all: build/.deps-build
	@$(MAKE) --no-print-directory binary
	@ln -sf release/obsagent build/obsagent

binary: $(B)/obsagent

# ---- what is missing gets installed (as root, on Debian) ----

build/.deps-%: deploy/install-deps.sh
	@mkdir -p build
	@deploy/install-deps.sh $*
	@touch $@

# A stamp is not believed when a library has gone since.
ifneq ($(shell pkg-config --exists $(PKGS) 2>/dev/null && echo found),found)
build/.deps-build: ALWAYS
endif

deps: build/.deps-build build/.deps-test

# ---- the program ----

$(B)/obsagent: $(B)/obj/agent/main.o $(LIB)
	@echo "LINK $@"
	$(V)$(CXX) $(SAN) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(LIB): $(LIB_OBJS)
	@rm -f $@
	$(V)ar rcs $@ $^

# For tidy: what is compiled.
sources:
	@echo agent/main.c $(SRCS) $(CXX_SRCS)

objects: $(LIB_OBJS) $(B)/obj/agent/main.o

$(B)/obj/%.o: %.c $(GEN:%=%.h)
	@mkdir -p $(@D)
	@echo "CC $(VARIANT) $<"
	$(V)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# What the clock must not be before.
$(B)/obj/agent/base/clock.o: CPPFLAGS += -DBUILT_S=$(or $(SOURCE_DATE_EPOCH),$(shell date +%s))

$(B)/obj/%.cc.o: %.cc
	@mkdir -p $(@D)
	@echo "CXX $(VARIANT) $<"
	$(V)$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c -o $@ $<

define PROTO_RULE
$(B)/gen/$(basename $(notdir $(1))).pb-c.c $(B)/gen/$(basename $(notdir $(1))).pb-c.h &: $(1)
	@mkdir -p $(B)/gen
	$(V)protoc-c --proto_path=$(dir $(1)) --c_out=$(B)/gen $(1)
endef
$(foreach p,$(PROTOS),$(eval $(call PROTO_RULE,$(p))))

# What browsers get, as a C string without indentation.
$(B)/gen/%.inc: agent/web/assets/%
	@mkdir -p $(@D)
	$(V)sed 's/^ *//;s/[\\"]/\\&/g;s/.*/"&\\n"/' $< >$@

$(B)/obj/agent/web/assets.o: $(ASSETS)

# Generated code keeps to its own style: our warnings are not for it.
$(B)/gen/%.pb-c.o: $(B)/gen/%.pb-c.c
	$(V)$(CC) $(CPPFLAGS) -std=c11 $(OPT) -g $(SAN) -c -o $@ $<

# ---- tests ----

$(B)/unit/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	@echo "TEST $(VARIANT) $<"
	$(V)$(CC) $(CPPFLAGS) -Itests/unit -I. $(CFLAGS) -Wno-missing-prototypes -MMD -MP -c -o $@.o $<
	$(V)$(CXX) $(SAN) $(WRAP) -o $@ $@.o $(LIB) $(PKG_LIBS) -lcmocka

# Calls that these programs let fail: tests/unit/inject.h.
comma := ,
INJECT := open opendir write pwrite pread fsync fdatasync ftruncate fallocate unlink rename statvfs mmap malloc calloc \
	realloc ZSTD_compress ZSTD_decompress
$(B)/unit/test_alloc $(B)/unit/test_queue_inject: WRAP := $(INJECT:%=-Wl$(comma)--wrap=%)

unit-binaries: $(UNIT)

peers: build/.deps-test
	@tests/fetch-peers.sh

test: build/.deps-build build/.deps-test
	@tests/run.py all

test-unit: build/.deps-build build/.deps-test
	@tests/run.py unit

test-e2e: build/.deps-build build/.deps-test
	@tests/run.py e2e

# Discovery against a real kube-apiserver and etcd; building those takes some minutes, the first time.
test-k8s: build/.deps-build build/.deps-test
	@tests/run.py k8s

test-tsan: build/.deps-build build/.deps-test
	@tests/run.py tsan

soak: build/.deps-build build/.deps-test
	@tests/run.py soak

tidy: build/.deps-build build/.deps-test all
	@tests/tidy.py

build/fuzz/bin/%: tests/fuzz/%.c build/fuzz/libobsagent.a
	@mkdir -p $(@D)
	$(V)$(CC) $(CPPFLAGS) -I. $(CFLAGS) -Wno-missing-prototypes -c -o $@.o $<
	$(V)$(CXX) -fsanitize=address,undefined,fuzzer -o $@ $@.o $(LIB) $(PKG_LIBS)

fuzz-binaries: $(FUZZ)

# The same targets without the fuzzer: they replay the corpus, in any variant.
$(B)/replay/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(LIB)
	@mkdir -p $(@D)
	@echo "REPLAY $(VARIANT) $<"
	$(V)$(CC) $(CPPFLAGS) -I. $(CFLAGS) -MMD -MP -c -o $@.o $<
	$(V)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@.main.o tests/fuzz/replay.c
	$(V)$(CXX) $(SAN) -o $@ $@.o $@.main.o $(LIB) $(PKG_LIBS)

replay-binaries: $(REPLAY)

fuzz: build/.deps-build build/.deps-test
	@tests/fuzz.sh $(FUZZ_SECONDS)

# ---- measuring ----

build/release/bench/%: tests/bench/%.c $(LIB)
	@mkdir -p $(@D)
	$(V)$(CC) $(CPPFLAGS) -I. $(CFLAGS) -Wno-missing-prototypes -c -o $@.o $<
	$(V)$(CXX) -o $@ $@.o $(LIB) $(PKG_LIBS)

bench-binaries: $(BENCH)

bench: all build/.deps-test
	@$(MAKE) --no-print-directory bench-binaries
	@tests/fetch-peers.sh
	@for b in $(filter-out %/load %/outage,$(BENCH)); do $$b || exit 1; done
	@tests/bench/bench.py
	@OBSAGENT_BENCH=1 /usr/bin/python3 -m pytest -q -s -p no:cacheprovider tests/e2e/test_scrape_report.py -k megabytes

# ---- for people ----

run: all
	@build/obsagent demo

# The pages of an agent at work, as pictures for README.md.
screenshots: all build/.deps-test
	@/usr/bin/python3 tests/e2e/screenshots.py

# The manual and what shells complete, as the program itself tells them.
manual: all
	@mkdir -p build/manual
	$(V)build/obsagent help man >build/manual/obsagent.1
	$(V)build/obsagent help completion bash >build/manual/obsagent.bash
	$(V)build/obsagent help completion zsh >build/manual/_obsagent

install: manual
	install -D -m 0755 build/release/obsagent $(DESTDIR)$(PREFIX)/bin/obsagent
	install -D -m 0644 build/manual/obsagent.1 $(DESTDIR)$(PREFIX)/share/man/man1/obsagent.1
	install -D -m 0644 build/manual/obsagent.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/obsagent
	install -D -m 0644 build/manual/_obsagent $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_obsagent

format: build/.deps-test
	clang-format -i $$(git ls-files '*.c' '*.h' '*.cc')

clean:
	rm -rf build

-include $(LIB_OBJS:.o=.d) $(B)/obj/agent/main.d $(UNIT:=.d) $(REPLAY:=.d)
