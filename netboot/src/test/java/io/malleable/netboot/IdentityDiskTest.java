package io.malleable.netboot;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class IdentityDiskTest {
  private static final String META = CloudInit.metaData("i-1", "rack1-n7");
  private static final String USER =
      CloudInit.userData(
          List.of("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 \"op\"@host"),
          Optional.of("http://10.1.0.1:8081/phone-home/t0ken"));

  @TempDir Path directory;

  private Path write(IdentityDisk disk) throws IOException {
    Path file = directory.resolve("cidata.iso");
    Files.write(file, bytes(disk));
    return file;
  }

  private static byte[] bytes(IdentityDisk disk) {
    ByteBuffer whole = ByteBuffer.allocate((int) disk.sizeBytes());
    disk.read(0, whole);
    return whole.array();
  }

  private static String run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return output;
  }

  @Test
  void otherProgramsReadTheFilesUnderTheirRealNames() throws Exception {
    String large = "#!/bin/sh\n" + "# padding\n".repeat(1000);
    Path file = write(IdentityDisk.of(META, large, CloudInit.NETWORK_UNTOUCHED));
    String isoinfo = RequiredProgram.path("isoinfo", "genisoimage").toString();
    assertEquals(
        List.of("/meta-data", "/network-config", "/user-data"),
        run(isoinfo, "-R", "-f", "-i", file.toString()).lines().toList());
    assertEquals(META, run(isoinfo, "-R", "-i", file.toString(), "-x", "/meta-data"));
    assertEquals(large, run(isoinfo, "-R", "-i", file.toString(), "-x", "/user-data"));
    assertEquals(
        CloudInit.NETWORK_UNTOUCHED,
        run(isoinfo, "-R", "-i", file.toString(), "-x", "/network-config"));
    assertEquals(META, run(isoinfo, "-i", file.toString(), "-x", "/META_DAT.;1"));
  }

  @Test
  void labelIsTheOneThatCloudInitLooksFor() throws Exception {
    Path file = write(IdentityDisk.of(META, USER, ""));
    String blkid =
        run(
            RequiredProgram.path("blkid", "util-linux").toString(),
            "-p",
            "-o",
            "export",
            file.toString());
    assertTrue(blkid.contains("LABEL=CIDATA\n"), blkid);
    assertTrue(blkid.contains("TYPE=iso9660\n"), blkid);
    assertEquals(0, Files.size(file) % 4096);
  }

  @Test
  void equalTextsMakeEqualBytes() {
    assertArrayEquals(
        bytes(IdentityDisk.of(META, USER, "")), bytes(IdentityDisk.of(META, USER, "")));
  }

  @Test
  void anyRangeWithinIsReadAndNothingBeyond() {
    IdentityDisk disk = IdentityDisk.of(META, USER, "");
    byte[] whole = bytes(disk);
    ByteBuffer part = ByteBuffer.allocate(512);
    disk.read(16 * 2048, part);
    assertEquals("CD001", new String(part.array(), 1, 5, StandardCharsets.US_ASCII));
    assertEquals(ByteBuffer.wrap(whole, 16 * 2048, 512), part.flip());
    assertThrows(
        IndexOutOfBoundsException.class,
        () -> disk.read(disk.sizeBytes() - 511, ByteBuffer.allocate(512)));
    assertThrows(IndexOutOfBoundsException.class, () -> disk.read(-1, ByteBuffer.allocate(512)));
    assertThrows(
        IndexOutOfBoundsException.class, () -> disk.read(Long.MAX_VALUE, ByteBuffer.allocate(512)));
  }

  @Test
  void textsAreYamlThatNobodyCanBreakOutOf() {
    assertEquals("instance-id: \"i-1\"\nlocal-hostname: \"rack1-n7\"\n", META);
    assertEquals(
        """
        #cloud-config
        ssh_authorized_keys:
          - "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 \\"op\\"@host"
        phone_home:
          url: "http://10.1.0.1:8081/phone-home/t0ken"
          post: [instance_id, hostname]
          tries: 10
        """,
        USER);
    assertThrows(IllegalArgumentException.class, () -> CloudInit.metaData("i-1", "n1\nuser: root"));
    assertThrows(
        IllegalArgumentException.class,
        () -> CloudInit.userData(List.of("ssh-ed25519 AAAA\nruncmd: x"), Optional.empty()));
  }

  @Test
  void textsThatAreTooLongAreRefused() {
    assertThrows(
        IllegalArgumentException.class, () -> IdentityDisk.of(META, "x".repeat(2 << 20), ""));
  }
}
