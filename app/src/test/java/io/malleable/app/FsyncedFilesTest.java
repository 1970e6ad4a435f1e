package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.malleable.cli.ApiClient;
import io.malleable.hardware.Firmware;
import java.io.IOException;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * A machine that Linux runs on writes new files, each with fsync, while its server is killed and
 * started again. Each file whose fsync succeeded must be there when the machine reads it from its
 * drive.
 */
class FsyncedFilesTest {
  private static final int FEW_KILLS = 5;
  private static final int MANY_KILLS = 20;

  private static final int MAX_FILES_BEFORE_A_KILL = 8;
  private static final int FILES_AFTER_A_KILL = 2;

  /** Longer than a file takes, so that a kill hits any moment of it. */
  private static final long MAX_DELAY_NANOS = TimeUnit.MILLISECONDS.toNanos(400);

  /** Writes the content of a file of a round; the machine has what it is made of in its memory. */
  private static final String CONTENT = "content() { echo file $1 of round $2; cat /run/x; }\n";

  /**
   * Writes files until it is told to stop: each in parts, of which the kernel has sent some to the
   * drive when the last one is made durable with them. What was made durable is in a list that is
   * in memory, too, as all must be that is not the drive's.
   */
  private static final String WRITER =
      """
      part() { dd if=/run/next of=/root/f/$1 bs=64k count=4 skip=$2 seek=$2 conv=notrunc$3 2>/dev/null; }
      writer() { rm -rf /root/f; mkdir /root/f; rm -f /run/list /run/stop; sync; n=0; while [ ! -e /run/stop ]; do n=$((n+1)); \
      content $n $1 >/run/next; part $n 0 && usleep 50000 && part $n 4 && usleep 50000 && part $n 8 && usleep 50000 \
      && part $n 12 ,fsync && echo $n >>/run/list && echo "M2 WROTE $(($1*1000+n))" >/dev/console || break; done; \
      echo "M2 WRITER-ENDS $1" >/dev/console; }
      """;

  /** What is written to a file goes to the drive within some hundredths of a second. */
  private static final String WRITE_BACK_AT_ONCE =
      "echo 1 >/proc/sys/vm/dirty_expire_centisecs; echo 1 >/proc/sys/vm/dirty_writeback_centisecs";

  /** Compares what the drive has with the list. */
  private static final String CHECK =
      "check() { for n in $(cat /run/list); do content $n $1 | cmp -s - /root/f/$n || echo file $n is lost;"
          + " done; }\n";

  private final long seed = new Random().nextLong();
  private final Random random = new Random(seed);

  @Test
  void filesAreThereThatWereWrittenWithFsyncWhileTheServerWasKilled() throws Exception {
    run(FEW_KILLS);
  }

  @Test
  @Tag("long")
  void andSoTheyAreAfterManyKills() throws Exception {
    run(MANY_KILLS);
  }

  private void run(int kills) throws Exception {
    System.out.println("seed " + seed);
    try (BootLab lab = BootLab.start()) {
      Guest guest = lab.addMachine("files", Firmware.BIOS);
      ApiClient.Answer provision = lab.provision("files", "image", BootLab.IMAGE);
      guest.awaitReady();
      lab.await(provision);
      guest.type(CONTENT);
      guest.type(WRITER);
      guest.type(CHECK);
      guest.run(WRITE_BACK_AT_ONCE);
      guest.run("head -c 1000000 /dev/urandom >/run/x");
      for (int round = 1; round <= kills; round++) {
        // Whatever the machine writes now is the first that its disk's newest layer has.
        String disk = lab.node("files").path("disk").asText();
        String body = "before-" + round;
        lab.await(
            lab.api()
                .post(lab.api().object().put("name", body).put("disk", disk), "/v1/snapshots"));
        killWhileItWrites(lab, guest, round);
        String lost = guest.run("check " + round);
        assertEquals("", lost, "after kill " + round + "; seed " + seed);
      }
      String errors = guest.run("dmesg | grep -E 'EXT4-fs error|I/O error|remount' || true");
      assertEquals("", errors, "the kernel saw errors; seed " + seed);
    }
  }

  private void killWhileItWrites(BootLab lab, Guest guest, int round) throws IOException {
    guest.type("writer " + round + " &\n");
    int first = 1000 * round;
    guest.awaitWritten(first + 1 + random.nextInt(MAX_FILES_BEFORE_A_KILL));
    LockSupport.parkNanos(random.nextLong(MAX_DELAY_NANOS));
    lab.server().kill();
    int written = guest.written();
    lab.startServerAgain();
    guest.awaitWritten(written + FILES_AFTER_A_KILL);
    guest.type("touch /run/stop\n");
    guest.await(Pattern.compile("M2 WRITER-ENDS " + round + "\\r"));
    guest.run("echo 3 >/proc/sys/vm/drop_caches");
  }
}
