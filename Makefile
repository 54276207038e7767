# fieldmesh. `make` builds build/release/fieldmesh; `make check` runs every test; `make help` lists the rest.
# Two builds of the same files: release (what people run) and asan (what the tests run: ASan and UBSan).

CC         ?= gcc
PKG_CONFIG ?= pkg-config
PREFIX     ?= /usr/local
VERSION    := 0.1.0

ROOMS  := crypto replication store node
LIBS   := libzmq lmdb libsodium jansson libzstd
WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
          -Wswitch-enum -Werror=unused-result $(if $(WERROR),-Werror)
CFLAGS_all     := -std=c11 -D_GNU_SOURCE -I. -DFM_PROGRAM_VERSION='"$(VERSION)"' -include replication/banned.h -MMD -MP \
                  $(WARN) $(shell $(PKG_CONFIG) --cflags $(LIBS))
CFLAGS_release := -O2 -g -ffile-prefix-map=$(CURDIR)=. -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DFM_SANITIZED
# Asserts are for bugs: in the rooms that are measured they leave no branches. In all other files and builds they stand.
CFLAGS_cover    = -O0 -g --coverage -DFM_SANITIZED \
                  $(if $(filter crypto/% replication/% store/%,$<),-DNDEBUG -Wno-unused-variable \
                       -Wno-unused-but-set-variable -Wno-unused-parameter)
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
LDFLAGS_asan    := -fsanitize=address,undefined
LDFLAGS_cover   := --coverage
LDLIBS := $(shell $(PKG_CONFIG) --libs $(LIBS)) -lmsgpackc -lpthread -lm

MODE ?= release
comma := ,
B    := build/$(MODE)

sources = $(wildcard $(1)/*.c)
objects = $(patsubst %.c,$(B)/%.o,$(1))
MAIN    := node/main.c
OBJ     := $(call objects,$(filter-out $(MAIN),$(foreach r,$(ROOMS),$(call sources,$(r)))))
SUPPORT := $(call objects,$(call sources,tests/support))
UNIT    := $(patsubst %.c,%,$(wildcard tests/unit/test_*.c))
TESTS   := $(addprefix $(B)/,$(UNIT) $(patsubst %.c,%,$(wildcard tests/e2e/*.c)))

.PHONY: all test-programs check check-fast check-unit check-e2e check-layers check-headers check-warnings \
        coverage bench fuzz sim planted proof proof-programs soak soak-totals demo-thin install clean help
.SECONDARY:

all: $(B)/fieldmesh
test-programs: $(TESTS)

$(B)/fieldmesh: $(call objects,$(MAIN)) $(OBJ)
	$(CC) $(LDFLAGS_$(MODE)) -o $@ $^ $(LDLIBS)
$(B)/tests/%: $(B)/tests/%.o $(SUPPORT) $(OBJ)
	$(CC) $(LDFLAGS_$(MODE)) -o $@ $^ $(LDLIBS) -lcmocka
# Here each call by which the store can be told no may fail (tests/support/fail_calls.h).
FAIL_CALLS := malloc calloc realloc strdup open close flock stat statfs fstatvfs mkdir unlink rename fsync pread \
              $(addprefix mdb_,env_create env_open env_sync env_copyfd2 reader_check txn_begin txn_renew txn_commit txn_abort dbi_open \
                stat get put del drop cursor_open cursor_get)
$(B)/tests/unit/test_store_failures: LDLIBS += $(addprefix -Wl$(comma)--wrap=,$(FAIL_CALLS))
# The simulator needs the core and its own stores, nothing of the shell.
SIM := $(call objects,$(foreach r,replication crypto tests/sim,$(call sources,$(r))) node/compress.c \
       $(addprefix tests/support/,memory.c memory_port.c ordered.c fake_crypto.c text_doc.c))
$(B)/sim: $(SIM)
	$(CC) $(LDFLAGS_$(MODE)) -o $@ $^ $(LDLIBS)
$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_all) $(CFLAGS_$(MODE)) $(CFLAGS) -c -o $@ $<
include tests/proof.mk
-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d)

# --- tests: each prints its cases, the last line is "N passed, N failed" ---
check-fast: check-layers check-headers
	@$(MAKE) --no-print-directory MODE=asan test-programs
	@sh tests/run.sh $(addprefix build/asan/,$(UNIT))
check: check-layers check-headers
	@$(MAKE) --no-print-directory MODE=asan all test-programs
	@$(MAKE) --no-print-directory MODE=release all
	@FIELDMESH=$(CURDIR)/build/asan/fieldmesh sh tests/run.sh $(addprefix build/asan/,$(UNIT)) tests/e2e/*.sh
check-layers: ; @sh tests/layers.sh && sh tests/rules_named.sh
check-headers: ; @CC="$(CC)" CFLAGS="$(filter-out -MMD -MP,$(CFLAGS_all))" sh tests/headers.sh
coverage: ; @sh tests/coverage.sh
bench: ; @$(MAKE) --no-print-directory MODE=release all && sh tests/bench/run.sh
fuzz: ; @sh tests/fuzz/run.sh
# make sim SEED=7 tells one seed; make sim SEEDS=1000 runs as many; make sim runs for a minute
sim: $(B)/sim ; @$(B)/sim $(if $(SEED),--seed $(SEED),$(if $(SEEDS),--seeds $(SEEDS),--seconds 60))
planted: ; @sh tests/planted/run.sh
# make proof runs all stages of docs/RELIABILITY.md, make proof STAGE=sim one; make soak goes on with new seeds until it is stopped (HOURS=N)
proof: ; @python3 tests/proof/run.py $(STAGE)
soak: ; @python3 tests/proof/soak.py $(if $(HOURS),--hours $(HOURS))
soak-totals: ; @python3 tests/proof/soak.py --totals
demo-thin: ; @$(MAKE) --no-print-directory MODE=release all && sh tests/e2e/thin.sh

install: $(B)/fieldmesh
	install -D -m 755 $< $(DESTDIR)$(PREFIX)/bin/fieldmesh
clean: ; rm -rf build
help:
	@sed -n 's/^\([a-z-]*\):.*/  make \1/p' Makefile | sort -u
