package io.malleable.lab;

import io.malleable.cli.Argument;
import io.malleable.cli.BaseCommand;

/** {@code m2 lab switch}: the segment that the rack's servers and the M2 server share. */
final class SwitchCommand extends BaseCommand {
  private final Argument remove = arguments.flag("--remove", "take it away again");

  SwitchCommand() {
    super(
        "Makes the Ethernet segment of the lab's rack: a bridge without a way out",
        "",
        "Needs root, or one namespace for everything (unshare -Urnm).");
  }

  @Override
  protected void run() {
    if (remove.isSet()) {
      RackSwitch.remove();
      out().println(RackSwitch.BRIDGE + " is removed");
      return;
    }
    RackSwitch.make();
    out().println(RackSwitch.BRIDGE + " is there, with the address " + RackSwitch.ADDRESS);
    out().println("Start the server with:");
    out()
        .printf(
            "  m2 serve --data DIR --dhcp %s --dhcp-pool %s --tftp %s:69%n"
                + "      --boot-http %s:8481 --iscsi %s:3260%n",
            RackSwitch.BRIDGE,
            RackSwitch.POOL,
            RackSwitch.ADDRESS,
            RackSwitch.ADDRESS,
            RackSwitch.ADDRESS);
    out().println("Then: m2 lab up --rack 2");
  }
}
