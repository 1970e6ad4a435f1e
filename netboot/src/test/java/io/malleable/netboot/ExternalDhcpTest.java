package io.malleable.netboot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExternalDhcpTest {
  static final ExternalDhcp SETTINGS =
      new ExternalDhcp(DhcpRig.address("10.77.0.1"), 8081, DhcpConfig.LoaderNames.usual());

  @TempDir Path directory;

  @Test
  void dnsmasqTakesItsSettings() throws Exception {
    Path file = directory.resolve("m2.conf");
    Files.writeString(file, SETTINGS.dnsmasq());
    Process process =
        new ProcessBuilder(
                RequiredProgram.path("dnsmasq", "dnsmasq-base").toString(),
                "--test",
                "--conf-file=" + file)
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    assertTrue(
        SETTINGS.dnsmasq().contains("dhcp-boot=tag:m2-uefi,tag:!m2-ipxe,ipxe.efi,,10.77.0.1\n"));
  }

  @Test
  void keaSettingsNameEveryKindOfFirmware() {
    String kea = SETTINGS.kea();
    String uefi =
        """
          {
            "name": "m2-uefi",
            "test": "not member('m2-ipxe') and \
        (option[93].hex == 0x0007 or option[93].hex == 0x0009)",
            "next-server": "10.77.0.1",
            "boot-file-name": "ipxe.efi"
          },
        """;
    assertTrue(kea.contains(uefi), kea);
    assertTrue(kea.contains("http://10.77.0.1:8081/boot.ipxe"), kea);
    assertTrue(kea.contains("option[93].hex == 0x0013"), kea);
    assertEquals(
        kea.chars().filter(c -> c == '{').count(), kea.chars().filter(c -> c == '}').count());
  }
}
