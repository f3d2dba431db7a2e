# Cloche: one Makefile. Everything is built under build/<config>/; the default program is build/cloche.
#
#   make                       the program and the libraries
#   make run                   install what is needed, build, fetch a small model, answer, then talk
#   make check                 unit tests, fuzz corpus, include rules, command-line tests
#   make check CONFIG=asan     the same under sanitizers: asan (UBSan too) | ubsan | tsan
#   make CONFIG=scalar         only the plain kernels, on any processor
#   make CC=clang              another compiler (build/release-clang)
#   make CROSS=aarch64         a static 64-bit ARM program (build/aarch64), which qemu-aarch64 runs; needs
#                              `tools/bootstrap.sh cross` (the libraries' arm64 packages beside the native ones)
#   make fuzz SECONDS=20       every fuzz target for so long
#   make bench                 speed of this build; `make bench-compare` beside llama.cpp
#   make check-bits            one digest for every instruction set, thread count, chunking, compiler, optimisation
#   make check-peers           against the reference implementations (Python)
#   make check-clients         the server through the clients that people use (Python, node)
#   make check-hub             the hub through the clients that people use (huggingface_hub, git, git-lfs)
#   make check-page            the server's web page in a real browser
#   make ci                    what the CI runs
#   make install               PREFIX=/usr/local, DESTDIR=
#   make deb                   Debian packages in build/deb; `make check-deb` unpacks them and runs what is in them
#   make format, make lint, make clean
#
# SKIP="src/a/b.c tests/unit/test_x.c" leaves files out; V=1 shows the commands.

VERSION := 0.1.0
CONFIG  ?= release
CROSS   ?=
SKIP    ?=
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
UNITDIR ?= $(PREFIX)/lib/systemd/system
SECONDS ?= 20
PYTHON  ?= python3
Q       := $(if $(V),,@)

ifeq ($(CROSS),aarch64)
  override CC := aarch64-linux-gnu-gcc
  AR   := aarch64-linux-gnu-gcc-ar
  ARCH := aarch64
  EMU  := qemu-aarch64
else
  ifeq ($(origin CC),default)
    CC := gcc
  endif
  ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
  EMU  :=
endif

# --- where things go ---------------------------------------------------------------------------------------------------
ccname := $(notdir $(CC))
B ?= build/$(CONFIG)$(if $(filter gcc cc,$(ccname)),,-$(ccname))
ifneq ($(CROSS),)
  B := build/$(CROSS)$(if $(filter release,$(CONFIG)),,-$(CONFIG))
endif
PROG := $(if $(filter build/release,$(B)),build,$(B))/cloche
LIBA := $(B)/libcloche.a
LIBSO := $(B)/libcloche.so.0

# --- flags -------------------------------------------------------------------------------------------------------------
OPT        ?= -O2
OPT_KERNEL ?= -O3
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
# gcc cannot know that clo_fail returns false, so it takes `return clo_fail(...)` for a success that set nothing.
WARN += $(if $(findstring clang,$(CC)),,-Wno-maybe-uninitialized)
BASE := -std=c11 -D_GNU_SOURCE -DCLO_VERSION='"$(VERSION)"' -g -ffp-contract=off -fPIC \
        -Isrc -Iinclude -include src/base/banned.h
# clang's fortified headers define sprintf as a macro, which banned.h poisons.
HARDEN := -fstack-protector-strong $(if $(findstring clang,$(CC)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
LDHARD := -pie -Wl,-z,relro,-z,now
LIBS := -ljansson -lcrypto -lpcre2-8 -lutf8proc -lm -pthread
LIBS_HUB := -lsqlite3 -lcrypt -lyaml -llz4 -lcmark-gfm-extensions -lcmark-gfm
LIBS_SERVE := -lmicrohttpd -lseccomp -lgit2 -lcurl $(LIBS_HUB) -lsnappy -lzstd -lz
SAN  :=

ifeq ($(CONFIG),release)
else ifeq ($(CONFIG),scalar)
  BASE += -DCLO_SCALAR_ONLY
else ifeq ($(CONFIG),asan)
  SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(CONFIG),ubsan)
  SAN := -fsanitize=undefined -fno-sanitize-recover=all
else ifeq ($(CONFIG),tsan)
  SAN := -fsanitize=thread
else ifeq ($(CONFIG),fuzz)
  SAN := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
  BASE += -DCLO_SCALAR_ONLY -DCLO_SMALL_LIMITS # small inputs reach the limits, and cross the ends of buffers
else
  $(error CONFIG=$(CONFIG): release, scalar, asan, ubsan, tsan or fuzz)
endif
ifneq ($(SAN),)
  OPT := -O1
  OPT_KERNEL := -O1
  HARDEN :=
  LDHARD :=
endif
# Cross-built programs are static, so that they run anywhere; cross-built tests use the arm64 libraries of this machine.
LDPROG := $(if $(CROSS),-static,$(LDHARD))
ifneq ($(CROSS),)
  LDHARD :=
endif
ALL_CFLAGS = $(BASE) $(WARN) $(HARDEN) $(SAN) $(CFLAGS)
ALL_LDFLAGS = $(LDHARD) $(SAN) $(LDFLAGS)

# --- sources -----------------------------------------------------------------------------------------------------------
# Folders of src/tensor hold kernels; those of other instruction sets are left out.
ISA_DIRS :=
ifeq ($(filter scalar fuzz,$(CONFIG)),)
  ifeq ($(ARCH),x86_64)
    ISA_DIRS := avx2 avx512
  else ifeq ($(ARCH),aarch64)
    ISA_DIRS := neon
  endif
endif
AVX512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c
isa_flags = $(if $(findstring /avx2/,$1),-mavx2 -mfma -mf16c)$(if $(findstring /avx512/,$1),$(AVX512)$(if \
    $(filter %_vnni.c,$1), -mavx512vnni))$(if $(findstring /neon/,$1),$(if \
    $(filter %_dot.c,$1),-march=armv8.2-a+dotprod))

# These three checks look at every address, before it is used, and inlined vector bodies compile four times as long with
# them (58 s a file); the accesses themselves are asan's.
comma := ,
SAN_KERNEL := $(if $(filter asan ubsan,$(CONFIG)),-fno-sanitize=null$(comma)object-size$(comma)pointer-overflow)
san_flags = $(if $(filter $(ISA_DIRS:%=src/tensor/%/%),$1),$(SAN_KERNEL))$(if $(filter fuzz-src/base/blake3.c,$(CONFIG)-$1),$(FUZZ_HASH))
# Hashing has no branch that its input decides, and instrumented it is nearly all the time of a xorb's target.
FUZZ_HASH := -fno-sanitize=all -O2 -UCLO_SCALAR_ONLY

ISA_OUT  := $(filter-out $(ISA_DIRS),avx2 avx512 neon)
# TLS has no static libraries, so that a static program has no server; keys, the audit log and the seal it has.
ifneq ($(CROSS),)
  BOOKS := $(wildcard $(addprefix src/serve/,audit*.c ledger.c receipt_files.c address.c ask.c seal*.c airgap*.c notify.c))
  SKIP += src/cli/serve.c $(filter-out $(BOOKS),$(wildcard src/serve/*.c)) tests/unit/test_serve.c tests/unit/test_attempts.c tests/unit/test_held.c tests/fuzz/fuzz_request.c
  SKIP += $(wildcard src/net/*.c) $(patsubst %,src/cli/%.c,pull push faraway import_repo) # nor libcurl
  SKIP += $(wildcard src/table/*.c) tests/unit/test_parquet.c tests/fuzz/fuzz_parquet.c tests/fuzz/fuzz_rows.c src/hub/content.c # only the server shows rows
  SKIP += src/cli/repo.c src/cli/fsck.c src/cli/gc.c $(wildcard $(addprefix src/hub/,git_*.c refs.c repo*.c index*.c list.c like.c diff.c discussion*.c merge.c pull.c revision.c history.c tree.c edit.c commit*.c pack*.c remote*.c home.c intake.c import*.c snapshot.c collection*.c)) # nor has libgit2
  SKIP += tests/unit/test_seal.c # the emulator has no filters of system calls
  SKIP += $(patsubst %,tests/unit/test_%.c,attributes collection commit discussion git_check git_db list merge pack repo revision smart tree)
  SKIP += tests/fuzz/fuzz_remote.c tests/unit/test_remote.c tests/fuzz/fuzz_pack.c tests/fuzz/fuzz_commit_lines.c tests/cli/test_repo.py
  BASE += -DCLO_NO_SERVE
  LIBS_SERVE := -lseccomp $(LIBS_HUB)
endif
LIB_SRC := $(filter-out src/cli/% src/serve/% src/store/% src/net/% src/hub/% src/table/% $(ISA_OUT:%=src/tensor/%/%) $(SKIP),$(wildcard src/*/*.c src/tensor/*/*.c))
CLI_SRC := $(filter-out $(SKIP),$(wildcard src/cli/*.c))
# The server belongs to the program, not to the library.
SERVE_SRC := $(filter-out $(SKIP),$(wildcard src/serve/*.c src/hub/*.c src/net/*.c src/store/*.c src/table/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(B)/%.o)
SERVE_OBJ := $(SERVE_SRC:%.c=$(B)/%.o)
SERVEA := $(B)/serve.a

UNIT_SRC  := $(filter-out $(SKIP),$(wildcard tests/unit/test_*.c))
UNIT_HELP := $(filter-out $(UNIT_SRC) $(SKIP),$(wildcard tests/unit/*.c))
UNIT_HELP := $(filter-out tests/unit/test_%,$(UNIT_HELP))
UNIT_BIN  := $(UNIT_SRC:%.c=$(B)/%)
FUZZ_SRC  := $(filter-out $(SKIP),$(wildcard tests/fuzz/fuzz_*.c))
REPLAY_BIN := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=$(B)/tests/fuzz/replay_%)
FUZZ_BIN  := $(FUZZ_SRC:%.c=$(B)/%)

.PHONY: all libs run check check-build bench bench-compare bench-exactness fuzz fuzz-build ci format lint install uninstall deb clean \
        check-peers check-clients check-hub check-page check-bits check-docs check-deb includes
.SUFFIXES:
.PRECIOUS: $(B)/src/%.o $(B)/tests/%.o
all: $(if $(CLI_SRC),$(PROG)) libs
libs: $(LIBA) $(if $(CROSS),,$(LIBSO))

# A change of compiler or flags rebuilds. The file changes only when its content does.
FLAGS_NOW := $(CC) $(ALL_CFLAGS) $(OPT) $(OPT_KERNEL)$(if $(SAN_KERNEL), $(SAN_KERNEL)) $(ALL_LDFLAGS) $(LDPROG)
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$FLAGS_NOW" | cmp -s - $@ || printf '%s\n' "$$FLAGS_NOW" > $@
export FLAGS_NOW
FORCE:

$(B)/src/%.o: src/%.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(ALL_CFLAGS) $(if $(filter src/tensor/%,$<),$(OPT_KERNEL),$(OPT)) $(call isa_flags,$<) $(call san_flags,$<) -MMD -MP -c $< -o $@

$(B)/tests/%.o: tests/%.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(ALL_CFLAGS) $(OPT) -Itests -MMD -MP -c $< -o $@

# The page's files are put into it by the assembler.
$(B)/src/serve/web.o: $(wildcard web/*.* web/hub/*)

# The list of objects is a prerequisite too, so that a removed source leaves the archive.
$(B)/objects: FORCE
	@mkdir -p $(@D)
	@echo '$(LIB_OBJ) $(SERVE_OBJ)' | cmp -s - $@ || echo '$(LIB_OBJ) $(SERVE_OBJ)' > $@

AR ?= ar
$(LIBA): $(LIB_OBJ) $(B)/objects
	@echo "  AR    $@"
	@rm -f $@
	$(Q)$(AR) rcs $@ $(LIB_OBJ)

# The shared library shows what include/cloche declares and nothing else.
$(B)/exports.map: $(wildcard include/cloche/*.h)
	@mkdir -p $(@D)
	@{ echo '{ global:'; sed -nE 's/^[A-Za-z].*[ *](clo[a-z0-9_]*)\(.*/  \1;/p' $^ /dev/null; \
	   echo '  clo_exports_of_no_header; local: *; };'; } > $@

$(LIBSO): $(LIB_OBJ) $(B)/objects $(B)/exports.map
	@echo "  LD    $@"
	$(Q)$(CC) -shared -Wl,-soname,libcloche.so.0 -Wl,--version-script=$(B)/exports.map -Wl,-z,relro,-z,now $(SAN) $(LDFLAGS) $(LIB_OBJ) $(LIBS) -o $@
	@ln -sf libcloche.so.0 $(B)/libcloche.so

$(SERVEA): $(SERVE_OBJ) $(B)/objects
	@echo "  AR    $@"
	@rm -f $@
	$(Q)$(AR) rcs $@ $(SERVE_OBJ)

$(PROG): $(CLI_OBJ) $(SERVEA) $(LIBA)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDPROG) $(SAN) $(LDFLAGS) $(CLI_OBJ) $(SERVEA) $(LIBA) $(LIBS_SERVE) $(LIBS) -o $@

# --- tests -------------------------------------------------------------------------------------------------------------
# Tests' own code is C like the rest; cmocka's macros convert freely, so -Wconversion is off there.
$(B)/tests/unit/%.o: WARN += -Wno-conversion -Wno-sign-conversion
HELP_OBJ := $(UNIT_HELP:%.c=$(B)/%.o)
$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(HELP_OBJ) $(SERVEA) $(LIBA)
	@echo "  LD    $@"
	$(Q)$(CC) $(ALL_LDFLAGS) $< $(HELP_OBJ) $(SERVEA) $(LIBA) -lcmocka $(LIBS_SERVE) $(LIBS) -o $@

$(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(SERVEA) $(LIBA)
	@echo "  LD    $@"
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(LIBS_SERVE) $(LIBS) -o $@

$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(SERVEA) $(LIBA)
	@echo "  LD    $@"
	$(Q)$(CC) $(subst fuzzer-no-link,fuzzer,$(ALL_LDFLAGS)) $^ $(LIBS_SERVE) $(LIBS) -o $@

# What tests/bits.py runs; linked as the program is.
$(B)/tests/bits: $(B)/tests/bits.o $(LIBA)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDPROG) $(SAN) $(LDFLAGS) $^ $(LIBS) -o $@

includes:
	$(Q)$(PYTHON) tools/check_includes.py

check-build: all $(UNIT_BIN) $(REPLAY_BIN)
# A race needs two threads: what has one alone is left out under TSan, which it would tell nothing.
ONE_THREAD := attributes blake3 chat dtype gguf grammar grapheme half identity pack parquet pick pooling pretoken quant requantize rows \
    safetensors sampler smart spec template tokenizer tool_call tree xet yaml
ifeq ($(CONFIG),tsan)
  SKIP_RUN := $(ONE_THREAD:%=$(B)/tests/unit/test_%) $(REPLAY_BIN)
endif
check:
	$(Q)tools/bootstrap.sh check
	$(Q)$(MAKE) --no-print-directory includes
	$(Q)$(MAKE) --no-print-directory check-build
	$(Q)CLOCHE_BIN=$(PROG) $(PYTHON) tools/run_tests.py $(if $(EMU),--emulator $(EMU)) --build $(B) \
	    $(filter-out $(SKIP_RUN),$(UNIT_BIN) $(REPLAY_BIN)) \
	    $(filter-out $(SKIP),$(wildcard tests/cli/*.sh tests/cli/test_*.py))

# `tools/bootstrap.sh peers` makes the Python that has them.
PEERS_PYTHON ?= $(firstword $(wildcard build/peers/bin/python) $(PYTHON))
check-peers: all
	$(Q)CLOCHE_BIN=$(PROG) $(PEERS_PYTHON) -m pytest -q -rs tests/peers
# `tools/bootstrap.sh clients` makes the Python and the node_modules that have them.
CLIENTS_PYTHON ?= $(firstword $(wildcard build/clients/bin/python) $(PYTHON))
check-clients: all
	$(Q)CLOCHE_BIN=$(PROG) $(CLIENTS_PYTHON) -m pytest -q -rs tests/clients
# `tools/bootstrap.sh hub` makes the Python that has them.
HUB_PYTHON ?= $(firstword $(wildcard build/hub/bin/python) $(PYTHON))
HUB_WORKERS = $(shell $(HUB_PYTHON) -c 'import xdist' 2>/dev/null && printf '%s' '-n 2 --dist loadfile')
check-hub: all
	$(Q)CLOCHE_BIN=$(PROG) $(HUB_PYTHON) -m pytest -q -rs $(HUB_WORKERS) tests/hub
# `tools/bootstrap.sh page` brings the browser and what drives it.
check-page: all
	$(Q)CLOCHE_BIN=$(PROG) node --test --test-reporter=spec --test-concurrency=1 tests/page/
check-bits:
	$(Q)$(PYTHON) tests/bits.py
check-docs: all
	$(Q)CLOCHE_BIN=$(PROG) $(PYTHON) tests/test_docs.py

# libFuzzer comes with clang; the targets are plain LLVMFuzzerTestOneInput functions. FUZZ="gguf json" takes some.
FUZZ ?= $(FUZZ_SRC:tests/fuzz/fuzz_%.c=%)
fuzz:
	$(Q)$(MAKE) --no-print-directory CC=clang CONFIG=fuzz B=build/fuzz fuzz-build
	$(Q)tools/fuzz.sh build/fuzz/tests/fuzz $(SECONDS) $(FUZZ)
fuzz-build: $(FUZZ_BIN)

# --- the rest ----------------------------------------------------------------------------------------------------------
run:
	$(Q)tools/bootstrap.sh build
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tools/bootstrap.sh answer

bench: all
	$(Q)$(PYTHON) bench/compare.py --ours-only
	$(Q)$(PYTHON) bench/hub_index.py $(PROG)
bench-compare: all
	$(Q)$(PYTHON) bench/compare.py
bench-exactness:
	@mkdir -p $(B)/bench
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O3 -march=native -mprefer-vector-width=512 -ffp-contract=off $(WARN) \
	    -Wno-conversion -Wno-sign-conversion bench/exactness.c -o $(B)/bench/exactness
	$(Q)$(B)/bench/exactness

ci:
	.ci/run

OURS = $(wildcard src/*/*.[ch] src/tensor/*/*.[ch] include/cloche/*.h tests/*.c tests/unit/*.[ch] tests/fuzz/*.[ch] examples/*.c)
format:
	clang-format -i $(OURS)
lint: includes
	$(Q)$(PYTHON) tools/lint.py

PC := $(DESTDIR)$(LIBDIR)/pkgconfig/cloche.pc
UNIT := $(DESTDIR)$(UNITDIR)/cloche.service
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include/cloche $(DESTDIR)$(UNITDIR) \
	    $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
	    $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 755 $(PROG) $(DESTDIR)$(PREFIX)/bin/cloche
	install -m 644 $(LIBA) $(DESTDIR)$(LIBDIR)/libcloche.a
	$(if $(CROSS),,install -m 755 $(LIBSO) $(DESTDIR)$(LIBDIR)/libcloche.so.0)
	$(if $(CROSS),,ln -sf libcloche.so.0 $(DESTDIR)$(LIBDIR)/libcloche.so)
	install -m 644 include/cloche/*.h $(DESTDIR)$(PREFIX)/include/cloche/
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' packaging/cloche.pc.in > $(PC)
	sed -e 's|/usr/bin/cloche|$(PREFIX)/bin/cloche|' packaging/cloche.service > $(UNIT)
	install -m 644 packaging/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 packaging/completion/cloche.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/cloche
	install -m 644 packaging/completion/_cloche $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_cloche
	install -m 644 packaging/completion/cloche.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/cloche.fish
	$(if $(DESTDIR),,@[ "$$(id -u)" -ne 0 ] || ldconfig)

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/cloche $(DESTDIR)$(LIBDIR)/libcloche.* $(DESTDIR)$(PREFIX)/include/cloche/*.h $(PC) $(UNIT) \
	    $(DESTDIR)$(PREFIX)/share/man/man1/cloche*.1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions/cloche \
	    $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_cloche $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/cloche.fish

# Debian packages of this build: the program with its unit, the library, and what programs are built against.
deb: all
	$(Q)packaging/deb.sh $(VERSION) build/deb
check-deb: all
	$(Q)CLOCHE_BIN=$(PROG) $(PYTHON) tests/test_package.py

clean:
	rm -rf build

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(SERVE_OBJ:.o=.d) $(UNIT_SRC:%.c=$(B)/%.d) $(HELP_OBJ:.o=.d) $(FUZZ_SRC:%.c=$(B)/%.d) $(B)/tests/fuzz/replay.d $(B)/tests/bits.d
