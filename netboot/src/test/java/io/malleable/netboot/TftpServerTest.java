package io.malleable.netboot;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TftpServerTest {
  @TempDir Path directory;

  private final List<BootListener.LoaderServed> served = new CopyOnWriteArrayList<>();
  private final byte[] loader = new byte[300_000];
  private Path loaders;
  private TftpServer server;

  @BeforeEach
  void start() throws IOException {
    new Random(1).nextBytes(loader);
    loaders = Files.createDirectory(directory.resolve("loaders"));
    Files.write(loaders.resolve("ipxe.efi"), loader);
    Files.write(loaders.resolve("undionly.kpxe"), Arrays.copyOf(loader, 512 * 20));
    Files.writeString(directory.resolve("secret"), "not for everybody");
    server =
        TftpServer.start(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            LoaderDirectory.of(loaders),
            8081,
            new BootListener() {
              @Override
              public void onLoader(LoaderServed event) {
                served.add(event);
              }
            });
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private byte[] fetch(List<String> command) throws Exception {
    Path log = directory.resolve("client.log");
    Process client =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    if (!client.waitFor(180, TimeUnit.SECONDS)) {
      client.destroyForcibly();
      throw new AssertionError("client did not end: " + Files.readString(log));
    }
    Path file = directory.resolve("got");
    assertTrue(Files.exists(file), () -> "no file; client: " + command);
    byte[] content = Files.readAllBytes(file);
    Files.delete(file);
    return content;
  }

  private static List<String> tftpHpa(int port, String file) {
    return List.of(
        RequiredProgram.path("tftp", "tftp-hpa").toString(),
        "-m",
        "binary",
        "127.0.0.1",
        Integer.toString(port),
        "-c",
        "get",
        file,
        "got");
  }

  private static List<String> atftp(int port, String file, String... options) {
    List<String> command = new ArrayList<>();
    command.add(RequiredProgram.path("atftp", "atftp").toString());
    for (String option : options) {
      command.addAll(List.of("--option", option));
    }
    command.addAll(List.of("-g", "-r", file, "-l", "got", "127.0.0.1", Integer.toString(port)));
    return command;
  }

  @Test
  void tftpHpaFetchesALoader() throws Exception {
    assertArrayEquals(loader, fetch(tftpHpa(server.address().getPort(), "ipxe.efi")));
    Eventually.holds("reported", Duration.ofSeconds(10), () -> served.size() == 1);
    assertEquals("tftp", served.getFirst().transport());
  }

  @Test
  void fileThatEndsWithAFullBlockIsWhole() throws Exception {
    assertArrayEquals(
        Arrays.copyOf(loader, 512 * 20),
        fetch(tftpHpa(server.address().getPort(), "/undionly.kpxe")));
  }

  @Test
  void atftpFetchesALoaderWithLargeBlocksAndWindows() throws Exception {
    assertArrayEquals(
        loader,
        fetch(
            atftp(
                server.address().getPort(),
                "ipxe.efi",
                "blksize 1468",
                "tsize 0",
                "timeout 1",
                "windowsize 16")));
  }

  @Test
  void moreThan65535BlocksWrapAround() throws Exception {
    byte[] large = new byte[8 * 66_000 + 3];
    new Random(2).nextBytes(large);
    Files.write(loaders.resolve("snponly.efi"), large);
    assertArrayEquals(
        large,
        fetch(atftp(server.address().getPort(), "snponly.efi", "blksize 8", "windowsize 32")));
  }

  @Test
  void lossyLinkDelaysAndDoesNotDamage() throws Exception {
    try (LossyLink link = new LossyLink(server.address(), LossyLink.Spoil.EVERYTHING, 5, 42)) {
      assertArrayEquals(
          Arrays.copyOf(loader, 512 * 20), fetch(tftpHpa(link.port(), "undionly.kpxe")));
    }
  }

  /** atftp gives up when an acknowledgement is lost in a window, so only data is spoiled here. */
  @Test
  void blocksLostFromWindowsAreSentAgain() throws Exception {
    try (LossyLink link = new LossyLink(server.address(), LossyLink.Spoil.DATA_ONLY, 5, 42)) {
      assertArrayEquals(
          loader,
          fetch(atftp(link.port(), "ipxe.efi", "blksize 1428", "timeout 1", "windowsize 8")));
    }
  }

  @Test
  void netasciiTurnsLineEnds() throws Exception {
    List<String> command =
        List.of(
            RequiredProgram.path("tftp", "tftp-hpa").toString(),
            "-m",
            "ascii",
            "127.0.0.1",
            Integer.toString(server.address().getPort()),
            "-c",
            "get",
            "autoexec.ipxe",
            "got");
    assertEquals(
        BootScripts.entry("http://127.0.0.1:8081", 10),
        new String(fetch(command), StandardCharsets.US_ASCII));
  }

  @Test
  void nothingOutsideTheListIsServedAndNothingIsWritten() throws Exception {
    for (String name :
        List.of("../secret", "/etc/passwd", "..\\secret", "secret", "", "ipxe.efi/../../secret")) {
      byte[] reply = exchange("\0\u0001" + name + "\0octet\0");
      assertEquals(TftpRequest.ERROR, reply[1], name);
      assertEquals(TftpErrorException.FILE_NOT_FOUND, reply[3], name);
    }
    assertEquals(TftpErrorException.ACCESS_VIOLATION, exchange("\0\u0002ipxe.efi\0octet\0")[3]);
    assertArrayEquals(loader, Files.readAllBytes(loaders.resolve("ipxe.efi")));
  }

  @Test
  void malformedRequestsAreRefused() throws Exception {
    for (String request :
        List.of(
            "\0\u0001",
            "\0\u0001ipxe.efi",
            "\0\u0001ipxe.efi\0mail\0",
            "\0\u0009x\0octet\0",
            "\0\u0004\0\u0001",
            "\0\u0001" + "x".repeat(600) + "\0octet\0",
            "x")) {
      byte[] reply = exchange(request);
      assertEquals(TftpRequest.ERROR, reply[1], request);
      assertEquals(TftpErrorException.ILLEGAL_OPERATION, reply[3], request);
    }
  }

  @Test
  void optionsAreAnsweredWithinOurBounds() throws Exception {
    byte[] reply =
        exchange(
            "\0\u0001ipxe.efi\0octet\0BLKSIZE\00065464\0tsize\0000\0windowsize\0009999\0"
                + "timeout\000255\0multicast\0\0blksize\0abc\0");
    assertEquals(
        "\0\u0006blksize\0001468\0tsize\000300000\0windowsize\00064\0",
        new String(reply, StandardCharsets.ISO_8859_1));
  }

  @Test
  void repeatedRequestOfOneClientStartsOneTransfer() throws Exception {
    try (DatagramSocket client = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      client.setSoTimeout(30_000);
      byte[] request = "\0\u0001ipxe.efi\0octet\0".getBytes(StandardCharsets.ISO_8859_1);
      for (int i = 0; i < 20; i++) {
        client.send(new DatagramPacket(request, request.length, server.address()));
      }
      DatagramPacket packet = new DatagramPacket(new byte[600], 600);
      client.receive(packet);
      assertEquals(1, server.transferCount());
      byte[] leave = {0, 5, 0, 0, 0};
      client.send(new DatagramPacket(leave, leave.length, packet.getSocketAddress()));
      Eventually.holds("transfer ended", Duration.ofSeconds(30), () -> server.transferCount() == 0);
    }
    assertTrue(served.isEmpty());
  }

  @Test
  void acknowledgementSentTwiceDoesNotDoubleTheTraffic() throws Exception {
    try (DatagramSocket client = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      client.setSoTimeout(30_000);
      byte[] request = "\0\u0001undionly.kpxe\0octet\0".getBytes(StandardCharsets.ISO_8859_1);
      client.send(new DatagramPacket(request, request.length, server.address()));
      DatagramPacket packet = new DatagramPacket(new byte[600], 600);
      int received = 0;
      for (boolean last = false; !last; ) {
        packet.setLength(600);
        client.receive(packet);
        received++;
        last = packet.getLength() < 516;
        byte[] acknowledge = {0, 4, packet.getData()[2], packet.getData()[3]};
        for (int i = 0; i < 2; i++) {
          client.send(new DatagramPacket(acknowledge, 4, packet.getSocketAddress()));
        }
      }
      // 20 full blocks and an empty one; a slow machine may add repetitions after half a second.
      assertFalse(received > 2 * 21, "received " + received);
    }
  }

  private byte[] exchange(String request) throws IOException {
    try (DatagramSocket client = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      client.setSoTimeout(30_000);
      byte[] octets = request.getBytes(StandardCharsets.ISO_8859_1);
      client.send(new DatagramPacket(octets, octets.length, server.address()));
      DatagramPacket reply = new DatagramPacket(new byte[2048], 2048);
      client.receive(reply);
      byte[] leave = {0, 5, 0, 0, 0};
      client.send(new DatagramPacket(leave, leave.length, reply.getSocketAddress()));
      return Arrays.copyOf(reply.getData(), reply.getLength());
    }
  }
}
