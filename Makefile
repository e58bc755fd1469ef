.PHONY: setup demo test check bench fuzz
setup demo test check bench fuzz:
	@python3 dev.py $@ $(ARGS)
