package io.malleable.control;

import java.util.Optional;
import java.util.UUID;

/** For each stage that is missing: the likely cause and the fix. */
final class BootReasons {
  /** A boot sector or a partition table is less, any loader more. */
  private static final long LOADER_BYTES = 16 << 10;

  /** A loader with its menu is less, a kernel with an initial RAM disk more. */
  private static final long KERNEL_BYTES = 4 << 20;

  private static final int MAX_ANCESTORS = 64;

  /** Why it stopped and what to do. */
  record Reason(String cause, String fix) {}

  private final Ports ports;

  BootReasons(Ports ports) {
    this.ports = ports;
  }

  Reason of(Rows rows, Node node, Boot boot, BootStage missing) {
    return switch (missing) {
      case POWER_ON, DHCP_DISCOVER -> unheard(node);
      case DHCP_OFFER -> withoutOffer(node);
      case DHCP_REQUEST ->
          new Reason(
              "The machine asked for an address and did not take the one that it was offered: the"
                  + " answer does not reach it, or another DHCP server answers.",
              "Look for other DHCP servers (m2 event list) and for VLAN or relay settings.");
      case DHCP_ACK ->
          new Reason(
              "The machine wants an address that this server did not give it: it took the offer of"
                  + " another DHCP server.",
              "Switch that one off on this segment (m2 event list names it), or start this server"
                  + " with --dhcp-mode proxy beside it.");
      case TFTP ->
          new Reason(
              "The machine has an address and was told to fetch a boot loader, but did not: TFTP"
                  + " (UDP port 69) of this server is off or cannot be reached from its network.",
              "Start the server with --tftp, and check any firewall between the machine and it.");
      case BOOT_SCRIPT -> beforeScript(node, boot);
      case FIRMWARE_LOGIN -> beforeLogin(node);
      case FIRST_READ ->
          new Reason(
              "The firmware has the drive but read nothing from it.",
              "Look at the console: m2 node console " + node.name());
      case OS_LOGIN -> beforeOs(rows, node, boot);
      case FIRST_WRITE ->
          new Reason(
              "The system has its drive and wrote nothing to it: it mounts it read-only, or hangs"
                  + " before its root file system is there.",
              "Look at the console: m2 node console " + node.name());
      case READY ->
          new Reason(
              "The system runs and has not reported: it has no cloud-init that reads the drive"
                  + " CIDATA, or one that reports only the first boot of a disk, or cannot reach the"
                  + " --boot-http address.",
              "Nothing, if the image is not made to report each boot; else look at"
                  + " /var/log/cloud-init.log in it.");
    };
  }

  /** What is wrong with the drive of a provisioned node, whatever its boot looks like. */
  Optional<Reason> ofDrive(Node node) {
    Optional<Ref> drive = node.disk().filter(_ -> node.state() == Node.State.PROVISIONED);
    if (drive.isEmpty()) {
      return Optional.empty();
    }
    String name = drive.get().name();
    if (!ports.targets().defined().contains(drive.get().id())) {
      return Optional.of(
          new Reason(
              "The server has no target for its drive '"
                  + name
                  + "': it could not be opened, so the machine cannot log in.",
              "See why: m2 disk show "
                  + name
                  + " and m2 event list. Release the node, or mend the store and restart the server."));
    }
    Optional<Reason> refusal =
        ports
            .targets()
            .use(drive.get().id())
            .refusal()
            .map(refused ->
                new Reason(
                    "Writes to its drive '%s' that need more room are not done since %s: %s."
                        .formatted(name, refused.since(), refused.reason()),
                    "See how full the store is: m2 status. A system that has made its file systems"
                        + " read-only needs a restart afterwards: m2 node power "
                        + node.name()
                        + " cycle"));
    return ofFault(node, drive.get()).or(() -> refusal);
  }

  private Optional<Reason> ofFault(Node node, Ref drive) {
    String name = drive.name();
    return Optional.ofNullable(ports.volumes().faults().get(drive.id()))
        .map(fault ->
            new Reason(
                "Its drive '"
                    + name
                    + "' is read and takes no writes since "
                    + fault.since()
                    + ", as its storage failed: "
                    + fault.cause()
                    + ".",
                (fault.recoveredPercent().isPresent()
                        ? "It is recovering, "
                            + fault.recoveredPercent().getAsInt()
                            + "% are done: m2 disk show "
                        : "Look at the drive under the store and at the server's kernel log; then: m2"
                            + " disk show ")
                    + name
                    + ". A system that has made its file systems read-only needs a restart"
                    + " afterwards: m2 node power "
                    + node.name()
                    + " cycle"));
  }

  /** Why a machine that must reboot has not, and who can change that. */
  Reason ofHeld(Rows rows, Node node) {
    String locked =
        "So that its system does not go on over lost writes, the secret of its drive was changed: it"
            + " waits for its drive for ever.";
    String byHand =
        "Restart it by hand: reset it, or switch it off and on. It then boots from its disk as that is"
            + " now.";
    String byUs = "Reboot it: m2 node power " + node.name() + " cycle; or by hand.";
    if (!ports.power().isAutomatic(node)) {
      return new Reason(locked + " It has no power driver.", byHand);
    }
    Optional<UUID> powerCycle = node.lostWrites().flatMap(LostWrites::powerCycle);
    if (powerCycle.isEmpty()) {
      return new Reason(
          locked + " The server has not come to rebooting it yet.",
          "Wait for it, or do not wait: m2 node power " + node.name() + " cycle");
    }
    Optional<Operation> operation = rows.operations().find(powerCycle.get());
    if (operation.isEmpty()) {
      return new Reason(locked, byUs);
    }
    return switch (operation.get().state()) {
      case QUEUED, RUNNING, WAITING, ABORTING ->
          new Reason(
              locked + " The server is rebooting it.",
              "Wait for operation " + powerCycle.get() + ".");
      case SUCCEEDED ->
          new Reason(
              locked + " It was off when the server wanted to reboot it.",
              "When it shall run, switch it on: m2 node power " + node.name() + " on");
      case FAILED, ABORTED ->
          new Reason(
              locked
                  + " The server could not reboot it: "
                  + operation
                      .get()
                      .error()
                      .map(OperationError::message)
                      .orElse("no cause is known."),
              operation
                      .get()
                      .error()
                      .flatMap(OperationError::hint)
                      .map(hint -> hint + " ")
                      .orElse("")
                  + byUs);
    };
  }

  private static Reason unheard(Node node) {
    return new Reason(
        "Nothing was heard of the machine: it has no power, it does not boot from the network, its"
            + " NIC has another MAC address, or its DHCP server does not name this server.",
        "Look at its console (m2 node console "
            + node.name()
            + "), the boot order, and the MAC address "
            + node.nics().getFirst()
            + "; m2 node list --unknown shows machines that nobody added.");
  }

  private static Reason withoutOffer(Node node) {
    if (node.address().isPresent()) {
      return new Reason(
          "The machine asks for an address and cannot have that of its node: "
              + node.address().get()
              + " is not in the network where it asks, or another machine has it.",
          "The server's log names which. Give the node another address once it is released: m2 node"
              + " set "
              + node.name()
              + " --address IPV4");
    }
    return new Reason(
        "The machine asks for an address and this server has none for it: the pool is used up.",
        "Widen --dhcp-pool; the server's log names what it could not answer.");
  }

  private static Reason beforeScript(Node node, Boot boot) {
    if (boot.reached(BootStage.TFTP)) {
      return new Reason(
          "The machine fetched a loader, but the loader did not ask for its script: it does not fit"
              + " the firmware ("
              + node.firmware().word()
              + "), or it cannot reach the boot address.",
          "Check the node's firmware setting and that the machine can reach the --boot-http address.");
    }
    if (boot.reached(BootStage.DHCP_ACK)) {
      return new Reason(
          "The machine has an address but fetched neither loader nor script: the boot file it was"
              + " given cannot be reached from its network.",
          "Check next-server, boot file and any firewall between the machine and this server.");
    }
    if (boot.reached(BootStage.DHCP_DISCOVER)) {
      return new Reason(
          "The machine asked for an address and did not take one with a boot file: the answer does"
              + " not reach it, or another DHCP server answers.",
          "Look for other DHCP servers (m2 event list) and for VLAN or relay settings.");
    }
    return unheard(node);
  }

  private Reason beforeLogin(Node node) {
    long failed = node.disk().map(d -> ports.targets().use(d.id()).failedLogins()).orElse(0L);
    if (failed > 0) {
      return new Reason(
          "The machine's logins were refused "
              + failed
              + " times: it uses an old secret or another initiator name.",
          "Restart the machine so that it fetches its script again: m2 node power "
              + node.name()
              + " cycle");
    }
    return new Reason(
        "The machine has its script but did not log in: the iSCSI portal cannot be reached from its"
            + " network, or its firmware cannot do iSCSI.",
        "Check that port 3260 of this server is open to the machine, and its console: m2 node"
            + " console "
            + node.name());
  }

  /** How far the firmware and its loader got shows in how much they read. */
  private Reason beforeOs(Rows rows, Node node, Boot boot) {
    String firmware = node.firmware().word();
    Optional<String> image = image(rows, node);
    String look =
        "Look at the console: m2 node console "
            + node.name()
            + image.map(name -> "; see what the image lacks: m2 image check " + name).orElse("");
    String lookForLoader = image.isEmpty() ? look : look + " --firmware " + firmware;
    long readBytes = until(node, boot).readBytes();
    if (readBytes < LOADER_BYTES) {
      return new Reason(
          "Only "
              + bytes(readBytes)
              + " were read from the drive: it has no loader for "
              + firmware
              + " firmware.",
          lookForLoader);
    }
    if (readBytes < KERNEL_BYTES) {
      return new Reason(
          "Only "
              + bytes(readBytes)
              + " were read from the drive: its loader found neither kernel nor initial RAM disk.",
          lookForLoader);
    }
    return new Reason(
        bytes(readBytes)
            + " were read from the drive, kernel and initial RAM disk, but the operating system"
            + " never logged in: that RAM disk lacks open-iscsi or the NIC's driver, or it does not"
            + " look at the iBFT.",
        look);
  }

  /**
   * What the node's project calls the image that the node's disk was made from, over any number of
   * snapshots; absent when it may not see that image.
   */
  private static Optional<String> image(Rows rows, Node node) {
    Optional<Ref> at = node.disk().flatMap(d -> rows.disks().find(d.id())).flatMap(Disk::parent);
    for (int i = 0; i < MAX_ANCESTORS && at.isPresent(); i++) {
      if (at.get().kind() == ResourceKind.IMAGE) {
        UUID project = node.projectId();
        return rows.images()
            .findVisible(project, at.get().id())
            .map(found ->
                found.projectId().equals(project)
                    ? found.name()
                    : found.project() + "/" + found.name());
      }
      at = rows.snapshots().find(at.get().id()).flatMap(Snapshot::parent);
    }
    return Optional.empty();
  }

  /** As a sentence: what went over the wire for this boot. */
  static String traffic(Boot.Traffic traffic) {
    return bytes(traffic.readBytes()) + " read and " + bytes(traffic.writtenBytes()) + " written";
  }

  private static String bytes(long bytes) {
    if (bytes < 1024) {
      return bytes + " B";
    }
    if (bytes < 1024 * 1024) {
      return bytes / 1024 + " KiB";
    }
    return bytes / (1024 * 1024) + "." + bytes % (1024 * 1024) * 10 / (1024 * 1024) + " MiB";
  }

  /** What the boot has moved until now. */
  Boot.Traffic until(Node node, Boot boot) {
    Optional<Ref> disk = node.disk().filter(d -> Optional.of(d.id()).equals(boot.disk()));
    return disk.map(d -> boot.since(ports.targets().use(d.id()))).orElse(Boot.Traffic.NONE);
  }
}
