# Programs of the proof's stages; the Makefile includes this.
SMALL := $(call objects,$(addprefix tests/exhaustive/,plan.c world.c look.c) tests/sim/model.c tests/sim/facts.c \
         $(addprefix tests/support/,lab.c memory.c memory_port.c ordered.c fake_crypto.c text_doc.c))
$(B)/exhaustive: $(SMALL) $(call objects,$(call sources,replication) tests/exhaustive/deliver.c tests/exhaustive/main.c)
	$(CC) $(LDFLAGS_$(MODE)) -o $@ $^ $(LDLIBS)
$(B)/permute: $(SMALL) $(call objects,$(foreach r,replication store crypto,$(call sources,$(r))) tests/permute/permute.c \
              tests/support/store_dir.c)
	$(CC) $(LDFLAGS_$(MODE)) -o $@ $^ $(LDLIBS)
$(B)/converge: $(call objects,$(foreach r,replication crypto,$(call sources,$(r))) tests/converge/converge.c node/compress.c \
               $(addprefix tests/support/,lab.c memory.c memory_port.c ordered.c fake_crypto.c text_doc.c))
	$(CC) $(LDFLAGS_$(MODE)) -o $@ $^ $(LDLIBS)
proof-programs: $(B)/fieldmesh $(B)/sim $(B)/exhaustive $(B)/permute $(B)/converge $(B)/tests/e2e/hostile $(SUPPORT) \
                $(call objects,$(call sources,tests/crash))
