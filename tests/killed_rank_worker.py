"""`rerec train` under torchrun; with REREC_KILL_AT=STEP the last process kills itself before that
step."""

import os
import signal
import sys

from rerec.cli import main
from rerec.method.trainer import ReRecTrainer

last = int(os.environ['WORLD_SIZE']) - 1
usual = ReRecTrainer.training_step


def training_step(self, *args, **kwargs):
    stop = os.environ.get('REREC_KILL_AT')
    if stop and int(os.environ['RANK']) == last and self.state.global_step == int(stop):
        os.kill(os.getpid(), signal.SIGKILL)
    return usual(self, *args, **kwargs)


ReRecTrainer.training_step = training_step
sys.exit(main())
