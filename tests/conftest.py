"""What holds for every test."""

import signal

# A shell starts its background jobs with SIGINT ignored, and children inherit that: programs under
# test would not hear the interrupts they are sent.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
