package io.malleable.netboot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Our servers and real firmware on a real Ethernet segment, in a network namespace. Needs root, or
 * the right to make user namespaces and to open {@code /dev/net/tun}.
 */
class SegmentTest {
  @TempDir Path directory;

  private String run(String scenario) throws Exception {
    RequiredProgram.path("ip", "iproute2");
    List<String> command = new ArrayList<>();
    command.add(RequiredProgram.path("unshare", "util-linux").toString());
    command.add(System.getProperty("user.name").equals("root") ? "-nm" : "-Urnm");
    command.add("--kill-child");
    command.add("--fork");
    command.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx256m",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            SegmentScenarios.class.getName(),
            scenario,
            directory.resolve(scenario).toString()));
    Path log = directory.resolve("scenario.log");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    try {
      assertTrue(process.waitFor(10, TimeUnit.MINUTES), () -> scenario + " hangs");
      String output = Files.readString(log);
      System.out.println(scenario + "\n" + output);
      assertEquals(0, process.exitValue(), output);
      return output;
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void biosMachinesBootThroughOurDhcpAndStrangersAreLeftAlone() throws Exception {
    run("server");
  }

  @Test
  void uefiBootsByPxeAndByHttpThroughOurDhcp() throws Exception {
    run("server-uefi");
  }

  @Test
  void biosLoaderRunsOverThePxeInterfaceOfACard() throws Exception {
    run("bios-loader");
  }

  @Test
  void biosAndUefiBootBesideDnsmasqInProxyMode() throws Exception {
    run("proxy");
  }

  @Test
  void biosAndUefiBootThroughDnsmasqWithTheSettingsThatWePrint() throws Exception {
    run("external");
  }

  @Test
  void otherDhcpServerIsNoticedBeforeAnyMachineBoots() throws Exception {
    run("other-server");
  }

  @Test
  @Tag("long")
  void withoutRouterAdvertisementIpxeWaits() throws Exception {
    run("without-advertiser");
  }
}
