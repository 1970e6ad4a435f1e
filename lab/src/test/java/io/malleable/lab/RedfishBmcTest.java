package io.malleable.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.hardware.BmcLimits;
import io.malleable.hardware.Firmware;
import io.malleable.hardware.HardwareSettings;
import io.malleable.hardware.PowerDriver;
import io.malleable.hardware.PowerDrivers;
import io.malleable.hardware.PowerException;
import io.malleable.hardware.PowerState;
import io.malleable.hardware.Secret;
import io.malleable.lab.RedfishBmc.Trait;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Our driver and two clients that we did not write, against the lab's BMC. */
class RedfishBmcTest {
  private static final String PASSWORD = "s3cret-p4ss";
  private static final BmcLimits SHORT =
      new BmcLimits(Duration.ofSeconds(60), 2, Duration.ofMillis(10), Duration.ofMillis(900));
  private static final BmcLimits IMPATIENT =
      new BmcLimits(Duration.ofMillis(300), 2, Duration.ofMillis(10), Duration.ofMillis(300));

  @TempDir Path directory;

  private final FakeMachine machine = new FakeMachine();

  @Test
  void aMachineIsSwitchedOnAndOffAndNoSessionIsLeft() throws IOException {
    try (RedfishBmc bmc = start()) {
      PowerDriver power = driver(bmc, PASSWORD, "", Firmware.UEFI);
      assertEquals(PowerState.OFF, power.state());
      power.on();
      assertEquals(PowerState.ON, power.state());
      power.on();
      power.cycle();
      power.off();
      assertEquals(List.of("on", "off", "on", "off"), machine.commands);
      assertEquals(0, bmc.openSessions());
    }
  }

  @ParameterizedTest
  @EnumSource(Trait.class)
  void aBmcThatDiffersIsSwitchedAllTheSame(Trait trait) throws IOException {
    try (RedfishBmc bmc = start(trait)) {
      PowerDriver power = driver(bmc, PASSWORD, "", Firmware.UEFI);
      power.bootFromNetworkOnce();
      power.on();
      assertEquals(PowerState.ON, power.state());
      power.off();
      assertEquals(PowerState.OFF, power.state());
    }
  }

  @Test
  void theBootOverrideIsForOneBoot() throws Exception {
    try (RedfishBmc bmc = start()) {
      driver(bmc, PASSWORD, "", Firmware.BIOS).bootFromNetworkOnce();
      String shown = redfishtool(bmc, "Systems", "-I", "1", "get");
      assertTrue(shown.contains("\"BootSourceOverrideTarget\": \"Pxe\""), shown);
      assertTrue(shown.contains("\"BootSourceOverrideMode\": \"Legacy\""), shown);

      PowerDriver http = driver(bmc, PASSWORD, "?boot=http", Firmware.UEFI);
      http.bootFromNetworkOnce();
      shown = redfishtool(bmc, "Systems", "-I", "1", "get");
      assertTrue(shown.contains("\"BootSourceOverrideTarget\": \"UefiHttp\""), shown);
      assertTrue(shown.contains("\"BootSourceOverrideEnabled\": \"Once\""), shown);

      http.on();
      shown = redfishtool(bmc, "Systems", "-I", "1", "get");
      assertTrue(shown.contains("\"BootSourceOverrideEnabled\": \"Disabled\""), shown);
    }
  }

  @Test
  void aWrongPasswordIsSaidAndTriedOnce() throws IOException {
    try (RedfishBmc bmc = start()) {
      PowerException e =
          assertThrows(
              PowerException.class, () -> driver(bmc, "wrong-s3cret", "", Firmware.BIOS).on());
      assertEquals(PowerException.Kind.AUTHENTICATION, e.kind());
      assertFalse(e.getMessage().contains("wrong-s3cret"), e.getMessage());
      assertEquals(1, bmc.refusedLogIns());
      assertTrue(machine.commands.isEmpty());
    }
  }

  @Test
  void aCertificateThatNobodySignedIsRefusedUnlessTheAddressSaysOtherwise() throws IOException {
    try (RedfishBmc bmc = start()) {
      PowerException e =
          assertThrows(
              PowerException.class,
              () -> drivers(PASSWORD, null, SHORT).driver(url(bmc, ""), Firmware.BIOS).state());
      assertEquals(PowerException.Kind.CONFIGURATION, e.kind());
      assertTrue(e.remedy().contains("insecure=true"), e.remedy());

      PowerDriver insecure =
          drivers(PASSWORD, null, SHORT).driver(url(bmc, "?insecure=true"), Firmware.BIOS);
      assertEquals(PowerState.OFF, insecure.state());
    }
  }

  @Test
  void aCertificateForAnotherHostIsRefused() throws IOException {
    try (RedfishBmc bmc = start()) {
      Path authorities = authorities(bmc);
      String url = "redfish://admin@localhost:" + bmc.address().getPort();
      PowerException e =
          assertThrows(
              PowerException.class,
              () -> drivers(PASSWORD, authorities, SHORT).driver(url, Firmware.BIOS).state());
      assertEquals(PowerException.Kind.CONFIGURATION, e.kind());
    }
  }

  @Test
  void aBmcThatLiesIsNotBelieved() throws IOException {
    machine.deaf = true;
    try (RedfishBmc bmc = start()) {
      PowerException e =
          assertThrows(PowerException.class, () -> driver(bmc, PASSWORD, "", Firmware.BIOS).on());
      assertEquals(PowerException.Kind.NOT_APPLIED, e.kind());
      assertEquals(List.of("on", "on", "on"), machine.commands);
      assertEquals(0, bmc.openSessions());
    }
  }

  @Test
  void aMachineThatCannotBeSwitchedIsReportedWithTheBmcsOwnWords() throws IOException {
    machine.broken = true;
    try (RedfishBmc bmc = start()) {
      PowerException e =
          assertThrows(
              PowerException.class, () -> driver(bmc, PASSWORD, "", Firmware.BIOS).state());
      assertEquals(PowerException.Kind.UNREACHABLE, e.kind());
      assertTrue(e.getMessage().contains("could not be switched"), e.getMessage());
    }
  }

  @Test
  void aBmcThatHangsIsGivenUp() throws IOException {
    try (ServerSocket silent = new ServerSocket(0, 8, InetAddress.getLoopbackAddress())) {
      String url = "redfish://admin@127.0.0.1:" + silent.getLocalPort();
      PowerException e =
          assertThrows(
              PowerException.class,
              () -> drivers(PASSWORD, null, IMPATIENT).driver(url, Firmware.BIOS).on());
      assertEquals(PowerException.Kind.UNREACHABLE, e.kind());
    }
  }

  @Test
  void aBmcThatIsSlowIsWaitedFor() throws IOException {
    machine.delay = Duration.ofMillis(700);
    try (RedfishBmc bmc = start()) {
      assertEquals(PowerState.OFF, driver(bmc, PASSWORD, "", Firmware.BIOS).state());
    }
  }

  @Test
  void aSystemThatTheBmcDoesNotHaveIsNamed() throws IOException {
    try (RedfishBmc bmc = start()) {
      PowerException e =
          assertThrows(
              PowerException.class,
              () -> driver(bmc, PASSWORD, "/redfish/v1/Systems/9", Firmware.BIOS).state());
      assertEquals(PowerException.Kind.CONFIGURATION, e.kind());
      assertTrue(e.getMessage().contains("/redfish/v1/Systems/9"), e.getMessage());
    }
  }

  @Test
  void redfishtoolSwitchesTheMachine() throws Exception {
    try (RedfishBmc bmc = start()) {
      redfishtool(bmc, "Systems", "-I", "1", "reset", "On");
      assertEquals(PowerState.ON, machine.state());
      redfishtool(bmc, "Systems", "-I", "1", "setBootOverride", "Once", "Pxe");
      String shown = redfishtool(bmc, "Systems", "-I", "1", "get");
      assertTrue(shown.contains("\"BootSourceOverrideTarget\": \"Pxe\""), shown);
      redfishtool(bmc, "Systems", "-I", "1", "reset", "ForceOff");
      assertEquals(PowerState.OFF, machine.state());
      assertTrue(redfishtool(bmc, "SessionService", "get").contains("SessionTimeout"));
    }
  }

  @Test
  void sushySwitchesTheMachine() throws Exception {
    try (RedfishBmc bmc = start()) {
      String script =
          """
          import os, sys, sushy
          url = 'https://127.0.0.1:' + sys.argv[1]
          auth = sushy.auth.SessionAuth('admin', os.environ['BMC_PASSWORD'])
          root = sushy.Sushy(url, auth=auth, verify=sys.argv[2])
          system = root.get_system('/redfish/v1/Systems/1')
          assert system.power_state == sushy.PowerState.OFF, system.power_state
          system.set_system_boot_options(
              sushy.BootSource.PXE, enabled=sushy.BootSourceOverrideEnabled.ONCE,
              mode=sushy.BootSourceOverrideMode.UEFI)
          system.reset_system(sushy.ResetType.ON)
          system.refresh()
          assert system.power_state == sushy.PowerState.ON, system.power_state
          system.reset_system(sushy.ResetType.FORCE_OFF)
          system.refresh()
          assert system.power_state == sushy.PowerState.OFF, system.power_state
          auth.close()
          print('sushy is content')
          """;
      Path file = Files.writeString(directory.resolve("check.py"), script);
      String said =
          run(
              "/usr/bin/python3", // Debian's, which has Debian's python3-sushy
              file.toString(),
              "" + bmc.address().getPort(),
              authorities(bmc).toString());
      assertTrue(said.contains("sushy is content"), said);
      assertEquals(List.of("on", "off"), machine.commands);
    }
  }

  private RedfishBmc start(Trait... traits) throws IOException {
    return RedfishBmc.start(
        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
        directory.resolve("bmc"),
        new RedfishBmc.Account("admin", PASSWORD),
        machine,
        traits);
  }

  private static String url(RedfishBmc bmc, String rest) {
    return "redfish://admin@127.0.0.1:" + bmc.address().getPort() + rest;
  }

  private PowerDriver driver(RedfishBmc bmc, String password, String rest, Firmware firmware)
      throws IOException {
    return drivers(password, authorities(bmc), SHORT).driver(url(bmc, rest), firmware);
  }

  private Path authorities(RedfishBmc bmc) throws IOException {
    return Files.writeString(directory.resolve("authorities.pem"), bmc.certificatePem());
  }

  private PowerDrivers drivers(
      String password, @org.jspecify.annotations.Nullable Path authorities, BmcLimits limits) {
    HardwareSettings settings =
        new HardwareSettings(
            directory, (user, host) -> Optional.of(new Secret(password)), null, authorities);
    return new PowerDrivers(settings, limits);
  }

  private String redfishtool(RedfishBmc bmc, String... command) throws Exception {
    List<String> argv = new ArrayList<>(List.of("redfishtool", "-r"));
    argv.add("127.0.0.1:" + bmc.address().getPort());
    argv.addAll(List.of("-u", "admin", "-p", PASSWORD, "-S", "Always", "-A", "Session"));
    argv.addAll(List.of(command));
    return run(argv.toArray(String[]::new));
  }

  private String run(String... command) throws Exception {
    Path output = Files.createTempFile(directory, "output", ".txt");
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.redirectOutput(output.toFile());
    // Authorities named in the environment would come before those on the command line.
    builder.environment().keySet().removeIf(name -> !name.equals("PATH"));
    builder.environment().put("BMC_PASSWORD", PASSWORD);
    Process process;
    try {
      process = builder.start();
    } catch (IOException e) {
      throw new AssertionError(
          command[0] + " is missing: install the Debian packages redfishtool and python3-sushy", e);
    }
    assertTrue(process.waitFor(3, TimeUnit.MINUTES), "it hangs: " + String.join(" ", command));
    String said = Files.readString(output, StandardCharsets.UTF_8);
    assertEquals(0, process.exitValue(), said);
    return said;
  }

  private static final class FakeMachine implements PowerDriver {
    private final List<String> commands = new ArrayList<>();
    private boolean powered;
    private volatile boolean deaf;
    private volatile boolean broken;
    private volatile Duration delay = Duration.ZERO;

    @Override
    public synchronized PowerState state() throws IOException {
      if (broken) {
        throw new IOException("broken on purpose");
      }
      try {
        Thread.sleep(delay); // What is tested is that real time passes.
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
      return powered ? PowerState.ON : PowerState.OFF;
    }

    @Override
    public synchronized void on() {
      commands.add("on");
      powered = !deaf;
    }

    @Override
    public synchronized void off() {
      commands.add("off");
      powered = false;
    }

    @Override
    public void bootFromNetworkOnce() {}
  }
}
