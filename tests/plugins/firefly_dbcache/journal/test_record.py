from firefly_dbcache.journal.record import HEADER, RUN, Damage, Run, encode, find_valid, scan

SALT = 77


def read(data, sequence=1, salt=SALT):
    return list(scan(memoryview(data), 0, salt, sequence))


def bodies(found):
    return [bytes(body) for body in found.bodies]


def test_records_come_back_in_order_with_their_bodies():
    data = encode(1, b"one", SALT) + encode(2, b"", SALT) + encode(3, b"three" * 100, SALT)
    (run,) = read(data)
    assert run.first == 1
    assert bodies(run) == [b"one", b"", b"three" * 100]


def test_a_long_segment_comes_in_runs_that_go_on_from_one_another():
    for size in (RUN - 1, RUN, RUN + 1, 2 * RUN):
        data = b"".join(encode(number, b"%d" % number, SALT) for number in range(5, 5 + size))
        runs = read(data, sequence=5)
        assert [run.first for run in runs] == list(range(5, 5 + size, RUN))
        assert [body for run in runs for body in bodies(run)] == [b"%d" % number for number in range(5, 5 + size)]
        *runs, damage = read(data + b"torn", sequence=5)
        assert sum(len(run.bodies) for run in runs) == size
        assert (damage.offset, damage.sequence, damage.reason) == (len(data), 5 + size, "short header")


def test_every_cut_of_the_last_record_is_a_damage_at_its_beginning():
    whole = encode(1, b"one", SALT)
    data = whole + encode(2, b"two" * 9, SALT)
    for size in range(len(whole) + 1, len(data)):
        first, last = read(data[:size])
        assert isinstance(first, Run)
        assert isinstance(last, Damage)
        assert last.offset == len(whole)
        assert last.sequence == 2


def test_every_flipped_bit_is_found():
    data = encode(1, b"gold", SALT)
    for place in range(len(data)):
        for bit in range(8):
            bent = bytearray(data)
            bent[place] ^= 1 << bit
            assert isinstance(read(bytes(bent))[0], Damage)


def test_a_record_out_of_sequence_is_a_damage():
    assert "sequence 5 instead of 2" in read(encode(1, b"", SALT) + encode(5, b"", SALT))[1].reason


def test_a_record_of_another_segment_inside_a_body_is_no_record():
    inner = encode(9, b"stored by a player", SALT + 1)
    data = encode(1, inner, SALT)
    assert find_valid(memoryview(data), 1, SALT, 0) is None


def test_a_valid_record_is_found_at_any_offset_behind_a_damage():
    for gap in range(40):
        data = b"\xff" * gap + encode(7, b"seven", SALT)
        found = find_valid(memoryview(data), 0, SALT, 6)
        assert found is not None
        assert (found.sequence, found.offset, found.end) == (7, gap, gap + HEADER + 5)


def test_an_older_record_behind_a_damage_does_not_count():
    data = b"\xff" * 3 + encode(4, b"four", SALT)
    assert find_valid(memoryview(data), 0, SALT, 4) is None
