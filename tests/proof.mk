# Programs of the proof stages, beside the Makefile: make -f Makefile -f tests/proof.mk build/release/exhaustive
LAB := $(addprefix tests/support/,lab.c memory.c memory_port.c ordered.c fake_crypto.c text_doc.c)
$(B)/exhaustive: $(call objects,$(call sources,replication) $(call sources,tests/exhaustive) tests/sim/model.c tests/sim/facts.c $(LAB))
	$(CC) $(LDFLAGS_$(MODE)) -o $@ $^ $(LDLIBS)
