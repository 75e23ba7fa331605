"""What waits to be sent: in order, counted to the byte, with newer pieces in the place of older ones of their key."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from firefly_core.channel.send_queue import SendQueue


def drain(queue, step):
    sent = b""
    while queue:
        data = queue.join(65536)[:step]
        sent += data
        queue.sent(len(data))
    assert queue.size == 0
    return sent


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=50), st.integers(1, 100))
def test_bytes_leave_in_order_however_many_are_taken_at_a_time(pieces, step):
    queue = SendQueue(pieces[0])
    for piece in pieces[1:]:
        queue.append(piece)
    assert queue.size == sum(len(piece) for piece in pieces)
    assert drain(queue, step) == b"".join(pieces)


def test_a_newer_piece_takes_the_place_of_the_unsent_one_of_its_key():
    queue = SendQueue(b"a")
    assert not queue.append(b"old", "position")
    queue.append(b"b")
    assert queue.append(b"newer", "position")
    assert queue.size == 7
    assert drain(queue, 3) == b"anewerb"


def test_a_piece_that_is_being_sent_is_not_replaced():
    queue = SendQueue(b"a")
    queue.append(b"old", "position")
    queue.sent(2)
    assert not queue.append(b"new", "position")
    assert drain(queue, 10) == b"ldnew"


def test_a_key_whose_piece_has_left_may_wait_again():
    queue = SendQueue(b"a")
    queue.append(b"1", "k")
    queue.append(b"2")
    queue.sent(2)
    assert not queue.append(b"3", "k")
    assert drain(queue, 1) == b"23"


def test_join_gives_whole_pieces_up_to_about_the_limit():
    queue = SendQueue(b"x" * 10)
    for _ in range(10):
        queue.append(b"y" * 10)
    assert queue.join(25) == b"x" * 10 + b"y" * 20


def test_the_weight_is_near_what_the_pieces_take_in_memory():
    tracemalloc.start()
    queue = SendQueue(b"first")
    for number in range(2000):
        queue.append(b"%07d" % number)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert queue.size == 5 + 2000 * 7
    assert held * 0.7 <= queue.weight <= held * 1.5
