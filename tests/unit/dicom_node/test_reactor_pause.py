"""A paused reactor takes no message, also when it was just about to."""

import threading
import time

from dicom_node.network.reactor_pause import Checkpoint


class Reactor(threading.Thread):
    """Like pynetdicom's: says it is paused, passes the checkpoint, is held up, then takes a message."""

    def __init__(self, checkpoint, held_up_seconds):
        super().__init__(daemon=True)
        self.checkpoint, self.held_up_seconds = checkpoint, held_up_seconds
        self.is_paused, self.taken, self.ends = False, 0, False

    def run(self):
        while not self.ends:
            self.is_paused = True
            self.checkpoint.wait()
            time.sleep(self.held_up_seconds)  # the moment in which it says "paused" and is not
            self.is_paused = False
            self.taken += 1


def run_reactor(checkpoint):
    reactor = Reactor(checkpoint, held_up_seconds=0.02)
    reactor.start()
    time.sleep(0.05)
    return reactor


def end(reactor):
    reactor.ends = True
    reactor.checkpoint.set()
    reactor.join(1.0)


def test_nothing_is_taken_after_a_pause():
    reactor = run_reactor(Checkpoint())
    for _ in range(10):
        assert reactor.checkpoint.pause()
        taken = reactor.taken
        time.sleep(0.03)
        assert reactor.taken == taken
        reactor.checkpoint.set()
        time.sleep(0.005)
    end(reactor)


def test_an_event_is_not_enough():
    """Why there is a checkpoint: with an event the reactor that said "paused" still takes a message."""
    reactor = run_reactor(threading.Event())
    reactor.checkpoint.set()
    time.sleep(0.1)
    broken = 0
    for _ in range(20):
        reactor.checkpoint.clear()
        while not reactor.is_paused:
            time.sleep(0.0001)
        taken = reactor.taken
        time.sleep(0.03)
        broken += reactor.taken != taken
        reactor.checkpoint.set()
        time.sleep(0.005)
    end(reactor)
    assert broken > 0


def test_a_reactor_that_has_ended_delays_no_caller():
    assert not Checkpoint().pause(timeout_seconds=0.05)
