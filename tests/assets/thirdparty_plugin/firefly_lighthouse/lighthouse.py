"""A service: it tells every ship that calls how many came before, and hangs up."""

from firefly_core.kernel.config.config import config, key, listeners
from firefly_core.kernel.service import Phase, Service


class Lighthouse(Service):
    name = "lighthouse"
    phase = Phase.DOOR

    @config
    class Config:
        listen: tuple = key(listeners("tcp"), "where ships call")

    def __init__(self, kernel, config):
        super().__init__(kernel, config)
        self.ships = 0
        self.doors = []

    def start(self):
        for listen in self.config.listen:
            host, port = listen.address(self.kernel.replica)
            self.doors.append(self.kernel.network.listen(host, port, self.greet))

    def stop(self):
        for door in self.doors:
            door.close()
        self.doors.clear()

    def statistics(self):
        return {"ships_total": self.ships}

    def greet(self, ship):
        ship.send(b"the light is on, %d ships before you\n" % self.ships)
        self.ships += 1
        ship.close()
