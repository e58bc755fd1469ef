"""What holds for every test."""

import signal

from hypothesis import HealthCheck, settings

# Nothing is judged by its speed: a busy or an emulated machine is no failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A shell starts its background jobs with SIGINT ignored, and children inherit that: programs under
# test would not hear the interrupts they are sent.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
