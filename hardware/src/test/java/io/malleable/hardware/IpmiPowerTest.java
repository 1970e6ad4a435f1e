package io.malleable.hardware;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Against OpenIPMI's simulator, which we did not write, and against BMCs that misbehave. */
class IpmiPowerTest {
  private static final BmcLimits SHORT =
      new BmcLimits(Duration.ofSeconds(60), 3, Duration.ofMillis(10), Duration.ofMillis(900));

  private static final BmcLimits IMPATIENT =
      new BmcLimits(Duration.ofMillis(500), 2, Duration.ofMillis(10), Duration.ofMillis(500));

  @TempDir Path directory;

  @Test
  void aMachineIsSwitchedOnAndOff() throws IOException {
    try (IpmiSim sim = IpmiSim.start(directory, 0)) {
      PowerDriver power = driver(sim, "admin", IpmiSim.PASSWORD, Firmware.BIOS);
      assertEquals(PowerState.OFF, power.state());
      power.on();
      assertEquals(PowerState.ON, power.state());
      assertEquals("1", sim.value("power"));
      power.on();
      power.cycle();
      assertEquals("power=1\npower=0\npower=1\n", sim.commands());
      power.off();
      assertEquals("0", sim.value("power"));
      power.off();
    }
  }

  @Test
  void theNextBootComesFromTheNetwork() throws IOException {
    try (IpmiSim sim = IpmiSim.start(directory, 0)) {
      driver(sim, "admin", IpmiSim.PASSWORD, Firmware.BIOS).bootFromNetworkOnce();
      assertEquals("pxe", sim.value("boot"));
      driver(sim, "admin", IpmiSim.PASSWORD, Firmware.UEFI).bootFromNetworkOnce();
      assertEquals("pxe", sim.value("boot"));
    }
  }

  @Test
  void aBootOverrideThatIsForgottenIsNoticed() throws IOException {
    try (IpmiSim sim = IpmiSim.start(directory, 0)) {
      sim.ignore("boot");
      PowerException e =
          assertThrows(
              PowerException.class,
              () -> driver(sim, "admin", IpmiSim.PASSWORD, Firmware.BIOS).bootFromNetworkOnce());
      assertEquals(PowerException.Kind.NOT_APPLIED, e.kind());
      assertTrue(e.remedy().contains("boot order"), e.remedy());
    }
  }

  @Test
  void aWrongPasswordIsSaidAndNotRepeated() throws IOException {
    try (IpmiSim sim = IpmiSim.start(directory, 0)) {
      PowerException e =
          assertThrows(
              PowerException.class, () -> driver(sim, "admin", "wrong-s3cret", Firmware.BIOS).on());
      assertEquals(PowerException.Kind.AUTHENTICATION, e.kind());
      assertTrue(e.getMessage().contains("wrong password"), e.getMessage());
      assertFalse(e.getMessage().contains("wrong-s3cret"), e.getMessage());
    }
  }

  @Test
  void anUnknownUserIsSaid() throws IOException {
    try (IpmiSim sim = IpmiSim.start(directory, 0)) {
      PowerException e =
          assertThrows(
              PowerException.class,
              () -> driver(sim, "nobody", IpmiSim.PASSWORD, Firmware.BIOS).state());
      assertEquals(PowerException.Kind.AUTHENTICATION, e.kind());
      assertTrue(e.getMessage().contains("nobody"), e.getMessage());
    }
  }

  @Test
  void aMissingOrOverlongPasswordIsSaidWithoutAskingTheBmc() {
    BmcAddress.Ipmi address = (BmcAddress.Ipmi) BmcAddress.parse("ipmi://admin@127.0.0.1:9");
    PowerException missing =
        assertThrows(
            PowerException.class,
            () -> power(address, Credentials.none(), Firmware.BIOS, SHORT).state());
    assertEquals(PowerException.Kind.CONFIGURATION, missing.kind());
    PowerException tooLong =
        assertThrows(
            PowerException.class,
            () -> power(address, password("x".repeat(21)), Firmware.BIOS, SHORT).state());
    assertTrue(tooLong.remedy().contains("20"), tooLong.remedy());
  }

  @Test
  void aBmcThatLiesIsNotBelieved() throws IOException {
    try (IpmiSim sim = IpmiSim.start(directory, 0)) {
      sim.ignore("power");
      PowerException e =
          assertThrows(
              PowerException.class,
              () -> driver(sim, "admin", IpmiSim.PASSWORD, Firmware.BIOS).on());
      assertEquals(PowerException.Kind.NOT_APPLIED, e.kind());
      assertEquals("power=1\npower=1\npower=1\n", sim.commands(), "it is told three times");
    }
  }

  @Test
  void aBmcThatHangsIsGivenUpAndThePasswordIsOnNoCommandLine() throws Exception {
    try (DatagramSocket silent = new DatagramSocket(0, InetAddress.getLoopbackAddress());
        var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      BmcAddress.Ipmi address = loopback(silent.getLocalPort());
      Future<PowerException> call =
          threads.submit(() ->
              assertThrows(
                  PowerException.class,
                  () -> power(address, password("s3cret-env"), Firmware.BIOS, IMPATIENT).state()));
      // Its first datagram says that ipmitool runs; it waits for an answer that never comes.
      silent.receive(new DatagramPacket(new byte[2048], 2048));
      String commandLine = commandLineOfIpmitool(silent.getLocalPort());
      assertTrue(commandLine.contains("admin"), commandLine);
      assertFalse(commandLine.contains("s3cret-env"), commandLine);

      PowerException e = call.get();
      assertEquals(PowerException.Kind.UNREACHABLE, e.kind());
      assertFalse(e.toString().contains("s3cret-env"), e.toString());
    }
  }

  @Test
  void aHostThatIsNotThereIsUnreachable() throws IOException {
    int port;
    try (DatagramSocket socket = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      port = socket.getLocalPort();
    }
    PowerException e =
        assertThrows(
            PowerException.class,
            () -> power(loopback(port), password("x"), Firmware.BIOS, IMPATIENT).on());
    assertEquals(PowerException.Kind.UNREACHABLE, e.kind());
  }

  @Test
  void theConsoleIsReadAndTypedIntoOverLan() throws Exception {
    try (ServerSocket serial = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      CompletableFuture<String> typed = new CompletableFuture<>();
      Thread.ofVirtual().start(() -> echoOneLine(serial, typed));
      try (IpmiSim sim = IpmiSim.start(directory, serial.getLocalPort())) {
        NodeConsole console =
            new SolConsole(
                new IpmiTool(
                    sim.address("admin"), password(IpmiSim.PASSWORD), Duration.ofMinutes(1)),
                Duration.ofMinutes(1));
        try (ConsoleSession session = console.open(0)) {
          session.write("root\n".getBytes(StandardCharsets.US_ASCII));
          assertEquals("root", typed.get());
          awaitText(session, "login: root");
        }
      }
    }
  }

  @Test
  void oneFollowsTheConsoleWhileAnotherTypesAndALateOneSeesThePast() throws Exception {
    try (ServerSocket serial = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      CompletableFuture<String> typed = new CompletableFuture<>();
      Thread.ofVirtual().start(() -> echoOneLine(serial, typed));
      try (IpmiSim sim = IpmiSim.start(directory, serial.getLocalPort())) {
        HardwareSettings settings =
            new HardwareSettings(directory, password(IpmiSim.PASSWORD), null, null);
        BmcAddress.Ipmi at = sim.address("admin");
        String bmc = "ipmi://admin@127.0.0.1:" + at.port();
        PowerDrivers drivers = new PowerDrivers(settings);
        UUID node = UUID.randomUUID();
        try (ConsoleSession follower = drivers.console(node, bmc).orElseThrow().open(0)) {
          // A BMC has one session: the second look would be refused if it were not shared.
          try (ConsoleSession typist = drivers.console(node, bmc).orElseThrow().open(0)) {
            typist.write("root\n".getBytes(StandardCharsets.US_ASCII));
          }
          assertEquals("root", typed.get());
          awaitText(follower, "login: root");
          try (ConsoleSession late = drivers.console(node, bmc).orElseThrow().open(4096)) {
            awaitText(late, "login: root");
          }
          // Whose node the machine becomes next gets neither that past nor this console.
          NodeConsole others = drivers.console(UUID.randomUUID(), bmc).orElseThrow();
          PowerException e = assertThrows(PowerException.class, () -> others.open(4096));
          assertEquals(PowerException.Kind.REFUSED, e.kind());
        }
        // The last one gave the session back: it can be had again, also through Redfish's option.
        String redfish = "redfish://admin@127.0.0.1:1?console=ipmi:" + at.port();
        drivers.console(node, redfish).orElseThrow().open(0).close();
      }
    }
  }

  @Test
  @Timeout(120)
  void consoleThatTakesNothingRefusesWhatIsTypedAndStillCloses() throws Exception {
    try (ServerSocket serial = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      Thread.ofVirtual().start(() -> echoOneLine(serial, new CompletableFuture<>()));
      try (IpmiSim sim = IpmiSim.start(directory, serial.getLocalPort())) {
        BmcAddress.Ipmi at = sim.address("admin");
        IpmiTool tool = new IpmiTool(at, password(IpmiSim.PASSWORD), Duration.ofMinutes(1));
        try (ConsoleSession session = new SolConsole(tool, Duration.ofMinutes(1)).open(0)) {
          String pid = Long.toString(ipmitool(at.port()).orElseThrow().pid());
          assertEquals(0, new ProcessBuilder("kill", "-STOP", pid).start().waitFor());
          byte[] paste = new byte[1 << 20];
          IOException e = assertThrows(IOException.class, () -> session.write(paste));
          assertEquals("the BMC does not take what is typed", e.getMessage());
        }
      }
    }
  }

  @Test
  void theConsoleWithAWrongPasswordSaysSo() throws IOException {
    try (IpmiSim sim = IpmiSim.start(directory, 0)) {
      IpmiTool tool = new IpmiTool(sim.address("admin"), password("wrong"), Duration.ofMinutes(1));
      PowerException e =
          assertThrows(
              PowerException.class, () -> new SolConsole(tool, Duration.ofMinutes(1)).open(0));
      assertEquals(PowerException.Kind.AUTHENTICATION, e.kind());
    }
  }

  private static void echoOneLine(ServerSocket serial, CompletableFuture<String> typed) {
    try (Socket socket = serial.accept()) {
      StringBuilder line = new StringBuilder();
      int c;
      while ((c = socket.getInputStream().read()) >= 0 && c != '\n') {
        line.append((char) c);
      }
      socket.getOutputStream().write(("login: " + line + "\r\n").getBytes(StandardCharsets.UTF_8));
      typed.complete(line.toString());
      // Until the simulator ends: hanging up would take back what it has not read.
      socket.getInputStream().transferTo(OutputStream.nullOutputStream());
    } catch (IOException e) {
      typed.completeExceptionally(e);
    }
  }

  private static void awaitText(ConsoleSession session, String text) throws IOException {
    StringBuilder seen = new StringBuilder();
    byte[] buffer = new byte[4096];
    long deadlineNanos = System.nanoTime() + Duration.ofMinutes(2).toNanos();
    while (seen.indexOf(text) < 0) {
      assertTrue(System.nanoTime() < deadlineNanos, "no \"" + text + "\" in: " + seen);
      int count = session.read(buffer, Duration.ofSeconds(1));
      assertTrue(count >= 0, "the session ended after: " + seen);
      seen.append(new String(buffer, 0, count, StandardCharsets.ISO_8859_1));
    }
  }

  /** From /proc, as everybody on the machine sees it. */
  private static String commandLineOfIpmitool(int port) {
    return ipmitool(port).map(handle -> commandLine(handle.pid())).orElse("no ipmitool");
  }

  private static Optional<ProcessHandle> ipmitool(int port) {
    return ProcessHandle.current()
        .descendants()
        .filter(handle -> commandLine(handle.pid()).matches(".*ipmitool .* -p " + port + " .*"))
        .findFirst();
  }

  private static String commandLine(long pid) {
    try {
      return Files.readString(Path.of("/proc", "" + pid, "cmdline")).replace('\0', ' ');
    } catch (IOException e) {
      return ""; // Ended meanwhile.
    }
  }

  private static BmcAddress.Ipmi loopback(int port) {
    return (BmcAddress.Ipmi) BmcAddress.parse("ipmi://admin@127.0.0.1:" + port);
  }

  private static Credentials password(String password) {
    return (user, host) -> Optional.of(new Secret(password));
  }

  private static PowerDriver driver(IpmiSim sim, String user, String password, Firmware firmware) {
    return power(sim.address(user), password(password), firmware, SHORT);
  }

  private static PowerDriver power(
      BmcAddress.Ipmi address, Credentials credentials, Firmware firmware, BmcLimits limits) {
    return new VerifiedPower(
        new IpmiBmc(new IpmiTool(address, credentials, limits.call()), firmware), limits);
  }
}
