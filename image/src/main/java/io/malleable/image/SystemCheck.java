package io.malleable.image;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What the root file system says about drives, about a broken session, and about its identity. */
final class SystemCheck {
  private static final int MAX_FSTAB_LINES = 200;
  static final Pattern TIMEOUT =
      Pattern.compile(
          "(?m)^[ \\t]*+node\\.session\\.timeo\\.replacement_timeout[ \\t]*+=[ \\t]*+(-?\\d{1,9})");
  private static final int PATIENT_SECONDS = 86_400;
  private static final int MAX_HOMES = 200;

  private final Inspected drive;
  private final FileSystem files;
  private final Findings findings;

  SystemCheck(Inspected drive, FileSystem files, Findings findings) {
    this.drive = drive;
    this.files = files;
    this.findings = findings;
  }

  /** What it calls itself; empty when it does not. */
  static String name(FileSystem files) throws IOException {
    String text = Inspected.text(files, "/etc/os-release");
    if (text.isEmpty()) {
      text = Inspected.text(files, "/usr/lib/os-release");
    }
    Matcher matcher = Pattern.compile("(?m)^PRETTY_NAME=\"?([^\"\\n]{1,100})").matcher(text);
    return matcher.find() ? matcher.group(1).replaceAll("\\p{Cntrl}", "?") : "";
  }

  void checkMounts() throws IOException {
    for (String line :
        Inspected.text(files, "/etc/fstab").lines().limit(MAX_FSTAB_LINES).toList()) {
      List<String> fields = ShellWords.split(line);
      if (fields.size() >= 3) {
        Set<String> options =
            fields.size() > 3 ? Set.copyOf(List.of(fields.get(3).split(",", -1))) : Set.of();
        checkMount(fields.get(0), fields.get(1), fields.get(2), options);
      }
    }
  }

  private void checkMount(String device, String place, String type, Set<String> options)
      throws IOException {
    boolean mayFail = options.contains("nofail") || options.contains("noauto");
    String shown = "/etc/fstab mounts " + Findings.quoted(device) + " on " + Findings.quoted(place);
    if (device.matches("/dev/(sd|vd|nvme|xvd|hd|mmcblk)\\w+") && !mayFail) {
      boolean isRoot = place.equals("/");
      String why =
          "Device names differ between machines; systemd waits for this one and goes into emergency mode.";
      String fix = "Write UUID=... instead (blkid shows them), or add nofail.";
      if (device.startsWith("/dev/sd") || isRoot) {
        findings.warning("FSTAB_DEVICE_NAME", shown + ".", why, fix);
      } else {
        findings.blocks("FSTAB_DEVICE_NAME", shown + ".", why, fix);
      }
      return;
    }
    boolean isNamed = Inspected.isName(device);
    if (isNamed && !mayFail && drive.lacks(device)) {
      findings.blocks(
          "FSTAB_DEVICE_MISSING",
          shown + ", which is not on this drive.",
          "systemd waits for it and goes into emergency mode.",
          "Correct the line, remove it, or add nofail.");
      return;
    }
    if (type.equals("swap")) {
      findings.warning(
          "SWAP_ON_THE_DRIVE",
          "/etc/fstab swaps to " + Findings.quoted(device) + ".",
          "Swapping over the network can hang a machine that is short of memory.",
          "Remove the line; use zram if swap is wanted.");
    } else if (isNamed && !place.equals("/") && !options.contains("_netdev") && !mayFail) {
      findings.note(
          "FSTAB_NETDEV",
          shown + " without _netdev.",
          "Without it, the network may be taken down before this is unmounted.");
    }
  }

  /** Who logs in again after the server was away. */
  void checkRecovery(boolean initramfsStaysBehind) throws IOException {
    if (initramfsStaysBehind) {
      return;
    }
    boolean isInstalled =
        files.find("/sbin/iscsid").isPresent() || files.find("/usr/sbin/iscsid").isPresent();
    boolean isStarted =
        NetworkCheck.isEnabled(files, "iscsid.service")
            || NetworkCheck.isEnabled(files, "open-iscsi.service")
            || NetworkCheck.isEnabled(files, "iscsid.socket");
    if (!isInstalled || !isStarted) {
      findings.warning(
          "NO_SESSION_RECOVERY",
          isInstalled
              ? "iscsid is installed and not started."
              : "iscsid is not installed in the root file system.",
          "When the server restarts, nobody logs in again: the running system loses its drive.",
          isInstalled
              ? "systemctl enable iscsid open-iscsi in the image."
              : "Install open-iscsi in the image.");
      return;
    }
    Matcher timeout = TIMEOUT.matcher(Inspected.text(files, "/etc/iscsi/iscsid.conf"));
    String seconds = timeout.find() ? timeout.group(1) : "120";
    if (Integer.parseInt(seconds) >= 0 && Integer.parseInt(seconds) < PATIENT_SECONDS) {
      findings.warning(
          "SHORT_REPLACEMENT_TIMEOUT",
          "iscsid gives a lost session up after " + seconds + " s.",
          "After that, reads and writes of the root file system fail, and it goes read-only.",
          "Set node.session.timeo.replacement_timeout = -1 in /etc/iscsi/iscsid.conf"
              + " (and again in the initramfs: update-initramfs -u).");
    }
  }

  void checkIdentity() throws IOException {
    String machineId = Inspected.text(files, "/etc/machine-id").strip();
    if (!machineId.isEmpty() && !machineId.equals("uninitialized")) {
      findings.warning(
          "MACHINE_ID",
          "/etc/machine-id is set in the image.",
          "Every machine would have the same; DHCP, journals and others tell machines apart by it.",
          "truncate -s 0 /etc/machine-id in the image.");
    }
    List<String> keys =
        files.list("/etc/ssh").stream().filter(n -> n.matches("ssh_host_\\w+_key")).toList();
    if (!keys.isEmpty()) {
      findings.warning(
          "SSH_HOST_KEYS",
          "/etc/ssh holds host keys: " + Findings.quoted(String.join(", ", keys)) + ".",
          "Every machine would answer with the same key, and whoever has the image can pose as any of them.",
          "rm /etc/ssh/ssh_host_*_key* in the image; cloud-init or ssh-keygen -A makes new ones.");
    }
    checkWhoGetsIn();
  }

  private void checkWhoGetsIn() throws IOException {
    List<String> homes = new ArrayList<>(List.of("/root"));
    files.list("/home").stream().limit(MAX_HOMES).map(name -> "/home/" + name).forEach(homes::add);
    List<String> found = new ArrayList<>();
    for (String home : homes) {
      String keys = home + "/.ssh/authorized_keys";
      if (!Inspected.text(files, keys).isBlank()) {
        found.add(keys);
      }
    }
    if (!found.isEmpty()) {
      findings.warning(
          "AUTHORIZED_KEYS",
          "The image lets people in: " + Findings.quoted(String.join(", ", found)) + ".",
          "Whoever has one of these keys can log in to every machine; those that M2 is told of are added to them.",
          "rm /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys in the image; cloud-init writes them anew.");
    }
  }
}
