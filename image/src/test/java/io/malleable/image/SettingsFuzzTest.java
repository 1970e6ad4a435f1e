package io.malleable.image;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** What the files of somebody's image can hold. Any exception is a finding. */
class SettingsFuzzTest {
  private static final List<String> TEXTS =
      List.of(
          "/etc/os-release",
          "/etc/fstab",
          "/etc/iscsi/iscsid.conf",
          "/etc/network/interfaces",
          "/etc/netplan/a.yaml",
          "/etc/systemd/network/a.network",
          "/etc/NetworkManager/NetworkManager.conf",
          "/etc/cloud/cloud.cfg");

  @FuzzTest(maxDuration = "")
  void settings(byte[] bytes) {
    String text = new String(bytes, StandardCharsets.UTF_8);
    GrubConfig.parse(text).defaultEntry().ifPresent(BootEntry::arguments);
    LoaderEntries.parse(text);
    MemoryFiles files =
        new MemoryFiles()
            .with("/usr/sbin/ifup", "")
            .with("/usr/sbin/iscsid", "")
            .with("/etc/systemd/system/a.wants/iscsid.service", "")
            .with("/etc/systemd/system/a.wants/systemd-networkd.service", "")
            .with("/etc/systemd/system/a.wants/NetworkManager.service", "");
    TEXTS.forEach(path -> files.with(path, text));
    try {
      Findings findings = new Findings();
      Inspected none =
          Inspected.of(Drive.of(new DriveInMemory(new byte[0]), DriveInMemory.budget()));
      SystemCheck.name(files);
      SystemCheck system = new SystemCheck(none, files, findings);
      system.checkMounts();
      system.checkRecovery(false);
      new NetworkCheck(files, findings).check();
      new CloudInitCheck(files, List.of(), findings).check();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }
}
