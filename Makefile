.PHONY: setup demo test check bench fuzz arm64
setup demo test check bench fuzz arm64:
	@python3 dev.py $@ $(ARGS)
