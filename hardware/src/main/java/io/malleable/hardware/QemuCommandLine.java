package io.malleable.hardware;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The one place that knows how a diskless server looks to QEMU. */
final class QemuCommandLine {
  static final String PROGRAM = "qemu-system-x86_64";

  /** With the account's own group, whose name need not be the account's: nobody's is nogroup. */
  private static final String AS_USER =
      "exec setpriv --reuid \"$0\" --regid \"$(id -g \"$0\")\" --init-groups -- \"$@\"";

  private QemuCommandLine() {}

  /**
   * The arguments of a machine that outlives us: QEMU goes into the background by itself, once its
   * devices and sockets are there, and reports a failure before that by its exit status.
   *
   * @param user the account QEMU shall run as, for a server that runs as root, or null for ours
   */
  static List<String> of(
      MachineDefinition machine, MachineDirectory directory, @Nullable String user)
      throws IOException {
    List<String> argv = new ArrayList<>();
    if (user != null) {
      argv.addAll(List.of("sh", "-c", AS_USER, user));
    }
    argv.add(PROGRAM);
    argv.addAll(List.of("-name", directory.name()));
    // graphics=off sends what BIOS, iPXE and loaders print to the serial console.
    argv.addAll(List.of("-machine", "q35,graphics=off", "-accel", "tcg,thread=multi"));
    argv.addAll(List.of("-m", Integer.toString(machine.memoryMiB())));
    argv.addAll(List.of("-smp", Integer.toString(machine.cpus())));
    argv.addAll(List.of("-nodefaults", "-no-user-config", "-display", "none", "-daemonize"));
    // Not spawn and elevateprivileges: going into the background needs fork and setsid.
    argv.addAll(List.of("-sandbox", "on,obsolete=deny,resourcecontrol=deny"));
    argv.addAll(List.of("-pidfile", directory.pidFile().toString()));
    argv.addAll(List.of("-chardev", serial(directory), "-serial", "chardev:serial0"));
    argv.addAll(
        List.of("-qmp", "unix:" + comma(directory.monitorSocket()) + ",server=on,wait=off"));
    // A machine that found nothing to boot asks again, as a server set to network boot does.
    argv.addAll(List.of("-boot", "reboot-timeout=10000"));
    argv.addAll(List.of("-device", "virtio-rng-pci"));
    if (machine.firmware() == Firmware.UEFI) {
      argv.addAll(List.of("-drive", flash(0, "readonly=on", UefiVariables.code().toString())));
      String variables = UefiVariables.prepare(directory.path()).toString();
      argv.addAll(List.of("-drive", flash(1, "readonly=off", variables)));
      if (machine.loader() == MachineDefinition.NetworkLoader.IPXE_ROM) {
        // The option ROM of newer builds brings UEFI a driver of the card but no network boot. What
        // OVMF takes for a kernel may be any program.
        argv.addAll(List.of("-kernel", UefiIpxe.program().toString()));
      }
    }
    if (machine.loader() == MachineDefinition.NetworkLoader.FIRMWARE_HTTP) {
      for (String protocol : List.of("IPv4PXESupport", "IPv6PXESupport")) {
        argv.addAll(List.of("-fw_cfg", "name=opt/org.tianocore/" + protocol + ",string=n"));
      }
    }
    for (int i = 0; i < machine.nics().size(); i++) {
      addNic(argv, machine, i);
    }
    return argv;
  }

  private static void addNic(List<String> argv, MachineDefinition machine, int index) {
    MachineDefinition.Nic nic = machine.nics().get(index);
    String id = "net" + index;
    String backend;
    if (nic.tap() != null) {
      backend = "tap,id=" + id + ",ifname=" + nic.tap() + ",script=no,downscript=no";
    } else {
      // IPv6 answers a router solicitation; without it iPXE waits 14 s for an advertisement.
      backend = "user,id=" + id + ",ipv4=on,ipv6=on";
      if (index == 0 && machine.bootUrl() != null) {
        backend += ",bootfile=" + comma(machine.bootUrl());
      }
    }
    argv.addAll(List.of("-netdev", backend));
    String device = "virtio-net-pci,netdev=" + id + ",mac=" + nic.mac();
    if (index == 0) {
      device += ",bootindex=1";
    }
    boolean rom =
        index == 0
            && machine.firmware() == Firmware.BIOS
            && machine.loader() == MachineDefinition.NetworkLoader.IPXE_ROM;
    if (!rom) {
      device += ",romfile=";
    }
    argv.addAll(List.of("-device", device));
  }

  /** Appending, so that a log that became too long can be cut to nothing under QEMU. */
  private static String serial(MachineDirectory directory) throws IOException {
    return "socket,id=serial0,server=on,wait=off,path="
        + comma(directory.serialSocket())
        + ",logappend=on,logfile="
        + comma(directory.consoleLog());
  }

  private static String flash(int unit, String access, String file) {
    return "if=pflash,format=raw,unit=" + unit + "," + access + ",file=" + comma(file);
  }

  /** QEMU separates options by commas and takes a doubled one for itself. */
  private static String comma(Object value) {
    return value.toString().replace(",", ",,");
  }
}
