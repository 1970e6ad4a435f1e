package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.cli.ApiClient;
import io.malleable.hardware.Firmware;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The server dies under a machine that writes. */
class BootCrashTest {
  /** Where {@code tiny/build} puts the root file system. */
  private static final int ROOT_LBA = 20480;

  private static final int RECORDS_AFTERWARDS = 10;

  @Test
  void machineGoesOnAfterItsServerWasKilledAndItsFileSystemIsClean() throws Exception {
    try (BootLab lab = BootLab.start()) {
      Guest guest = lab.addMachine("writer", Firmware.BIOS);
      ApiClient.Answer provision = lab.provision("writer", "image", BootLab.IMAGE);
      assertEquals(1, guest.awaitReady());
      lab.await(provision);
      guest.startWriter();

      lab.server().kill();
      int toldBefore = guest.written();
      lab.startServerAgain();
      assertEquals("writer", lab.node("writer").path("disk").asText().replaceFirst("-.*", ""));
      guest.awaitWritten(toldBefore + RECORDS_AFTERWARDS);

      // Once more, and now by the book: a stop flushes and logs sessions out.
      lab.server().stop();
      int toldAtStop = guest.written();
      lab.startServerAgain();
      guest.awaitWritten(toldAtStop + RECORDS_AFTERWARDS);

      guest.run("kill $(pidof m2-writer) $(pgrep -f m2-writer); sleep 1; sync; true");
      String errors = guest.run("dmesg | grep -E 'EXT4-fs error|I/O error|remount' || true");
      assertEquals("", errors, "the kernel saw errors");
      int told = guest.written();
      int found = Integer.parseInt(guest.run("cat /root/records.told"));
      // It may have been ended between the record and telling of it.
      assertTrue(found == told || found == told + 1, "told: %d, found: %d".formatted(told, found));
      guest.run("sync; mount -o remount,ro /");
      String disk = lab.node("writer").path("disk").asText();
      lab.release("writer");
      checkFileSystem(lab, disk);
    }
  }

  private static void checkFileSystem(BootLab lab, String disk) throws Exception {
    JsonNode exposed = lab.await(lab.api().post(lab.api().object(), "/v1/disks/{}/expose", disk));
    JsonNode iscsi = lab.api().get("/v1/disks/{}", disk).path("iscsi");
    assertTrue(iscsi.hasNonNull("url"), exposed.toPrettyString());
    Path copy = lab.base().resolve("copy.raw");
    String portal = iscsi.path("portal").asText();
    String secrets =
        "json:{\"driver\":\"iscsi\",\"transport\":\"tcp\",\"portal\":\"%s\",\"target\":\"%s\",\"lun\":0%s%s}"
            .formatted(
                portal,
                iscsi.path("target").asText(),
                iscsi.hasNonNull("username")
                    ? ",\"user\":\"" + iscsi.path("username").asText() + "\""
                    : "",
                iscsi.hasNonNull("password") ? ",\"password-secret\":\"chap\"" : "");
    Path secret = lab.base().resolve("secret");
    java.nio.file.Files.writeString(secret, iscsi.path("password").asText());
    run(
        "qemu-utils, qemu-block-extra",
        "qemu-img",
        "convert",
        "--object",
        "secret,id=chap,file=" + secret,
        "-O",
        "raw",
        secrets,
        copy.toString());
    lab.await(lab.api().post(lab.api().object(), "/v1/disks/{}/withdraw", disk));
    Path root = lab.base().resolve("root.ext4");
    run("coreutils", "dd", "if=" + copy, "of=" + root, "bs=512", "skip=" + ROOT_LBA, "conv=sparse");
    run("e2fsprogs", "e2fsck", "-fn", root.toString());
  }

  private static void run(String debianPackages, String... command) throws Exception {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().merge("PATH", ":/usr/sbin:/sbin", String::concat);
    Process process;
    try {
      process = builder.start();
    } catch (java.io.IOException e) {
      throw new AssertionError(
          command[0] + " cannot be run; install the Debian packages: " + debianPackages, e);
    }
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), command[0] + ":\n" + output);
  }
}
