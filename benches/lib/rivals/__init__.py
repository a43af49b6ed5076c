"""What else starts processes in the background, where it is installed."""

from .programs import Bash, Conmon, Daemonize, Multiprocessing, Setsid, StartStopDaemon
from .queues import Nq, Pueue, TaskSpooler
from .supervisors import Runsv, S6, Supervisord, SystemdRun

ALL = (
    Bash,
    Setsid,
    StartStopDaemon,
    Daemonize,
    Conmon,
    S6,
    Runsv,
    Supervisord,
    TaskSpooler,
    Nq,
    Pueue,
    SystemdRun,
    Multiprocessing,
)
