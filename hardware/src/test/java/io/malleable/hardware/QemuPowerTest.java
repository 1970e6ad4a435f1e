package io.malleable.hardware;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against a real QEMU with real firmware; each machine is left behind switched off. */
class QemuPowerTest {
  private static final String BOOT_URL = "http://10.0.2.2:9/boot.ipxe";

  @TempDir Path labDirectory;

  private final List<PowerDriver> used = new ArrayList<>();

  @BeforeAll
  static void qemuIsInstalled() {
    DebianPrograms.require("qemu-system-x86_64", "qemu-system-x86");
    DebianPrograms.requireFile(Path.of("/usr/lib/ipxe/ipxe.efi"), "ipxe");
    DebianPrograms.requireFile(Path.of("/usr/share/OVMF/OVMF_CODE_4M.fd"), "ovmf");
  }

  @AfterEach
  void switchOff() throws IOException {
    for (PowerDriver driver : used) {
      driver.off();
    }
  }

  @Test
  void aMachineIsSwitchedOnAndOff() throws IOException {
    define("n1", Firmware.BIOS);
    PowerDriver power = driver("n1");

    assertEquals(PowerState.OFF, power.state());
    power.on();
    assertEquals(PowerState.ON, power.state());
    power.off();
    assertEquals(PowerState.OFF, power.state());
    power.off();
  }

  @Test
  void switchingOnTwiceKeepsTheRunningMachine() throws IOException {
    define("n1", Firmware.BIOS);
    PowerDriver power = driver("n1");
    power.on();
    long pid = pid("n1");
    power.on();
    assertEquals(pid, pid("n1"));
    power.cycle();
    assertNotEquals(pid, pid("n1"));
  }

  @Test
  void aRunningMachineIsFoundAgainByANewServer() throws IOException {
    define("n1", Firmware.UEFI);
    driver("n1").on();
    long pid = pid("n1");

    PowerDriver afterRestart = driver("n1");

    assertEquals(PowerState.ON, afterRestart.state());
    afterRestart.on();
    assertEquals(pid, pid("n1"));
    afterRestart.off();
    assertEquals(PowerState.OFF, afterRestart.state());
  }

  @Test
  void aMachineThatRunsIsNotOursToEndWithUs() throws IOException {
    define("n1", Firmware.BIOS);
    driver("n1").on();
    long session = Long.parseLong(stat(pid("n1"))[3]);
    long ourSession = Long.parseLong(stat(ProcessHandle.current().pid())[3]);
    assertNotEquals(ourSession, session, "QEMU must not get our terminal's signals");
  }

  @Test
  void aMachineWhoseProcessWasKilledIsOffAndStartsAgain() throws IOException {
    define("n1", Firmware.BIOS);
    PowerDriver power = driver("n1");
    power.on();
    QemuProcess process = QemuProcess.find(labDirectory.resolve("n1/qemu.pid")).orElseThrow();
    process.handle().destroyForcibly();
    assertTrue(process.endsWithin(Duration.ofSeconds(10)));

    assertEquals(PowerState.OFF, power.state());
    power.on();
    assertEquals(PowerState.ON, power.state());
  }

  @Test
  void aMachineWhoseMonitorHangsIsStillSwitchedOff() throws IOException {
    define("n1", Firmware.BIOS);
    PowerDriver power = driver("n1");
    power.on();
    // The monitor serves one client at a time: while we sit there, nobody else is answered.
    Path socket = new MachineDirectory(labDirectory.resolve("n1")).monitorSocket();
    try (QmpClient busy = QmpClient.connect(socket, Duration.ofSeconds(5))) {
      assertEquals("running", busy.execute("query-status").path("status").asText());
      assertEquals(PowerState.ON, power.state());
      power.off();
    }
    assertEquals(PowerState.OFF, power.state());
  }

  @Test
  void aReusedProcessNumberIsNotTakenForTheMachine() throws IOException {
    define("n1", Firmware.BIOS);
    Files.writeString(labDirectory.resolve("n1/qemu.pid"), ProcessHandle.current().pid() + "\n");
    PowerDriver power = driver("n1");

    assertEquals(PowerState.OFF, power.state());
    power.off();
    assertTrue(ProcessHandle.current().isAlive());
  }

  @Test
  void twoCallersAtOnceStartOneMachine() throws Exception {
    define("n1", Firmware.BIOS);
    PowerDrivers drivers = new PowerDrivers(HardwareSettings.lab(labDirectory));
    used.add(drivers.driver("qemu:n1", Firmware.BIOS));
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> calls = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        calls.add(
            threads.submit(() -> {
              drivers.driver("qemu:n1", Firmware.BIOS).on();
              return null;
            }));
      }
      for (Future<?> call : calls) {
        call.get();
      }
    }
    assertEquals(PowerState.ON, drivers.driver("qemu:n1", Firmware.BIOS).state());
  }

  @Test
  void aLabDirectoryWithALongPathAndCommasWorks() throws IOException {
    Path deep = labDirectory.resolve("a,b".repeat(30));
    MachineDefinition.onUserNetwork("52:54:00:00:00:01", Firmware.BIOS, 64, BOOT_URL)
        .write(deep, "n1");
    PowerDriver power =
        new PowerDrivers(HardwareSettings.lab(deep)).driver("qemu:n1", Firmware.BIOS);
    used.add(power);
    power.on();
    assertEquals(PowerState.ON, power.state());
  }

  @Test
  void aMachineThatTheLabDoesNotHaveIsNamed() {
    PowerException e = assertThrows(PowerException.class, () -> driver("absent").on());
    assertEquals(PowerException.Kind.CONFIGURATION, e.kind());
    assertTrue(e.getMessage().contains("absent"), e.getMessage());
    assertTrue(e.remedy().contains("m2 lab up"), e.remedy());
  }

  @Test
  void aMachineThatQemuRefusesSaysWhy() throws IOException {
    // One tap for two cards: with or without the right to make taps, QEMU cannot have it.
    String tap = "m2t" + ProcessHandle.current().pid();
    new MachineDefinition(
            List.of(
                new MachineDefinition.Nic("52:54:00:00:00:01", tap),
                new MachineDefinition.Nic("52:54:00:00:00:02", tap)),
            Firmware.BIOS,
            MachineDefinition.NetworkLoader.IPXE_ROM,
            64,
            1,
            null)
        .write(labDirectory, "n1");
    PowerException e = assertThrows(PowerException.class, () -> driver("n1").on());
    assertTrue(e.getMessage().contains("tap"), e.getMessage());
    assertTrue(e.remedy().contains("tap"), e.remedy());
    assertEquals(PowerState.OFF, driver("n1").state());
  }

  @Test
  void aDamagedDefinitionIsNamed() throws IOException {
    define("n1", Firmware.BIOS);
    Path file = labDirectory.resolve("n1/machine.json");
    Files.writeString(file, Files.readString(file).replace("\"memoryMiB\" : 64", "\"x\" : 64"));
    PowerException e = assertThrows(PowerException.class, () -> driver("n1").on());
    assertTrue(e.getMessage().contains("memoryMiB"), e.getMessage());
    Files.writeString(file, "{");
    assertThrows(PowerException.class, () -> driver("n1").state());
  }

  @Test
  void theConsoleShowsWhatTheFirmwareSaysAndFollowsOverAPowerCycle() throws IOException {
    define("n1", Firmware.BIOS);
    PowerDriver power = driver("n1");
    NodeConsole console =
        new PowerDrivers(HardwareSettings.lab(labDirectory))
            .console(UUID.randomUUID(), "qemu:n1")
            .orElseThrow();
    try (ConsoleSession session = console.open(0)) {
      power.on();
      awaitText(session, "Press Ctrl-B for the iPXE command line");
      // It asks for iPXE's shell, which proves that typing arrives.
      session.write(new byte[] {2});
      awaitText(session, "iPXE>");
      session.write("echo typed-${net0/mac}\r".getBytes(StandardCharsets.US_ASCII));
      awaitText(session, "typed-52:54:00:00:00:01");
      power.cycle();
      awaitText(session, "iPXE");
    }
  }

  @Test
  void theConsoleOfAMachineThatIsOffTakesNoInput() throws IOException {
    define("n1", Firmware.BIOS);
    NodeConsole console =
        new PowerDrivers(HardwareSettings.lab(labDirectory))
            .console(UUID.randomUUID(), "qemu:n1")
            .orElseThrow();
    try (ConsoleSession session = console.open(100)) {
      assertEquals(0, session.read(new byte[10], Duration.ZERO));
      PowerException e = assertThrows(PowerException.class, () -> session.write(new byte[] {'x'}));
      assertEquals(PowerException.Kind.REFUSED, e.kind());
    }
  }

  @Test
  void aConsoleLogThatBecameTooLongIsCut() throws IOException {
    define("n1", Firmware.BIOS);
    Path log = labDirectory.resolve("n1/console.log");
    Files.write(log, new byte[(int) ConsoleLog.MAX_BYTES + 1]);
    driver("n1").state();
    assertEquals(0, Files.size(log));
    assertEquals(
        ConsoleLog.MAX_BYTES + 1, Files.size(labDirectory.resolve("n1/console.previous.log")));
  }

  @Test
  void qemuGetsNothingOfOurEnvironment() throws IOException {
    define("n1", Firmware.BIOS);
    driver("n1").on();
    String environment = Files.readString(Path.of("/proc", "" + pid("n1"), "environ"));
    for (String entry : environment.split("\0", -1)) {
      assertTrue(entry.isEmpty() || entry.startsWith("PATH="), entry);
    }
  }

  @Test
  void theTimeFromOffToOnIsMeasured() throws IOException {
    define("n1", Firmware.BIOS);
    PowerDriver power = driver("n1");
    List<Double> millis = new ArrayList<>();
    for (int i = 0; i < 7; i++) {
      long start = System.nanoTime();
      power.on();
      millis.add((System.nanoTime() - start) / 1e6);
      power.off();
    }
    System.out.println("qemu power-on, ms: " + millis);
    assertFalse(millis.isEmpty());
  }

  private void define(String name, Firmware firmware) throws IOException {
    MachineDefinition.onUserNetwork("52:54:00:00:00:01", firmware, 64, BOOT_URL)
        .write(labDirectory, name);
  }

  private PowerDriver driver(String name) {
    PowerDriver driver =
        new PowerDrivers(HardwareSettings.lab(labDirectory)).driver("qemu:" + name, Firmware.BIOS);
    used.add(driver);
    return driver;
  }

  private long pid(String name) throws IOException {
    return QemuProcess.find(labDirectory.resolve(name + "/qemu.pid")).orElseThrow().handle().pid();
  }

  /** The fields of proc(5)'s stat after the program's name. */
  private static String[] stat(long pid) throws IOException {
    String stat = Files.readString(Path.of("/proc", "" + pid, "stat"));
    return stat.substring(stat.lastIndexOf(')') + 2).split(" ");
  }

  private static void awaitText(ConsoleSession session, String text) throws IOException {
    StringBuilder seen = new StringBuilder();
    byte[] buffer = new byte[4096];
    long deadlineNanos = System.nanoTime() + Duration.ofMinutes(2).toNanos();
    while (seen.indexOf(text) < 0) {
      assertTrue(System.nanoTime() < deadlineNanos, "no \"" + text + "\" in: " + seen);
      int count = session.read(buffer, Duration.ofSeconds(1));
      seen.append(new String(buffer, 0, Math.max(count, 0), StandardCharsets.ISO_8859_1));
    }
  }
}
