"""The hands for a world: real clients, led to the stand-ins; and the switch that breaks one link of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from urllib.parse import urlsplit

import httpx

from diagnose.generator import events
from diagnose.generator.app import Backend, Standing
from diagnose.generator.client import client
from diagnose.generator.faults import FAULTS, Fault, World, named, sound
from diagnose.generator.hands import Anyone, Fal, SupabaseAccounts, SupabaseStorage
from diagnose.generator.pipeline import Hands, Log
from diagnose.generator.standins.services import Services
from diagnose.model import Profile


def arrange(services: Services, world: World) -> None:
    """Makes the services stand as they do in this world."""
    services.supabase.project = world.project
    services.fal.account = world.fal
    services.storage_host = urlsplit(world.settings.supabase_url or "").hostname or ""
    services.cut = world.cut


def hands_for(
    world: World,
    transport: httpx.BaseTransport,
    log: Log,
    clock: Callable[[], datetime],
    new_id: Callable[[], str],
) -> Hands:
    """The real hands, whose requests go where the transport leads them."""
    http = client(transport)

    def main(event: events.Event, /) -> None:
        log(replace(event, model=world.announces) if world.announces and isinstance(event, events.Chosen) else event)

    return Hands(
        SupabaseAccounts(world.settings, http, main),
        world.storage(SupabaseStorage(world.settings, http)),
        Fal(world.settings, http, world.patience),
        main,
        clock,
        new_id,
    )


@dataclass
class Breaker:
    """Breaks one link of an embedded backend while it runs, or mends it."""

    backend: Backend
    services: Services
    transport: httpx.BaseTransport
    profile: Profile
    broken: str | None = None

    def apply(self, name: str | None) -> None:
        """Breaks this one; None mends. Raises KeyError."""
        world = sound(self.profile)
        if name is not None:
            fault = named(name)
            if fault is None or fault not in self.breakable:
                raise KeyError(name)
            world = fault.arrange(world)
        arrange(self.services, world)
        hands = self.backend.standing.hands
        fresh = hands_for(world, self.transport, self.backend.journal, hands.clock, hands.new_id)
        # whoever uses the page has no account with the stand-in
        fresh = replace(fresh, accounts=Anyone())
        self.backend.standing = Standing(world.code, fresh, world.settings, world.source)
        self.broken = name

    @cached_property
    def breakable(self) -> tuple[Fault, ...]:
        """The faults that lie behind the page: in the settings, the services or the code, not in what the browser sends."""
        return tuple(fault for fault in FAULTS if fault.profile == "seed" and _behind(fault, sound(self.profile)))


def _behind(fault: Fault, before: World) -> bool:
    after = fault.arrange(before)
    parts = ("settings", "project", "fal", "code", "storage", "cut", "announces")
    changed = any(getattr(before, part) != getattr(after, part) for part in parts)
    return changed and before.body == after.body and before.project.coins == after.project.coins
