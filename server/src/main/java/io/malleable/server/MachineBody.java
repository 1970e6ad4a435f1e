package io.malleable.server;

import io.malleable.control.UnknownMachine;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** A machine that belongs to no node, on the wire. */
record MachineBody(String mac, Instant seenAt, @Nullable String address) {
  static MachineBody of(UnknownMachine machine) {
    return new MachineBody(machine.mac().text(), machine.seenAt(), machine.address().orElse(null));
  }
}
