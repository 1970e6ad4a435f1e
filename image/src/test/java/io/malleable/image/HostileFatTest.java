package io.malleable.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** FAT file systems whose boot sector claims more than there is. */
final class HostileFatTest {
  private static final int SECTOR_BYTES = 512;
  private static final int END = 0x0fffffff;
  private static final int FILE_CLUSTER = 3;

  /** A FAT32 with one file, FILE, in clusters of one sector; zeroes behind its file table. */
  private record Image(ByteBuffer front, long sizeBytes) implements DriveContent {
    static Image of(long sizeBytes, int tableSectors) {
      ByteBuffer front =
          ByteBuffer.allocate((tableSectors + 2) * SECTOR_BYTES).order(ByteOrder.LITTLE_ENDIAN);
      front.putShort(11, (short) SECTOR_BYTES).put(13, (byte) 1).putShort(14, (short) 1);
      front.put(16, (byte) 1).putInt(32, -1).putInt(36, tableSectors).putInt(44, 2);
      front.put(82, "FAT32".getBytes(StandardCharsets.US_ASCII));
      front.putShort(510, (short) 0xaa55);
      int root = (tableSectors + 1) * SECTOR_BYTES;
      front.put(root, "FILE       ".getBytes(StandardCharsets.US_ASCII));
      front.putShort(root + 26, (short) FILE_CLUSTER).putInt(root + 28, -1);
      Image image = new Image(front, sizeBytes);
      image.follow(2, END);
      return image;
    }

    void follow(int cluster, int next) {
      front.putInt(SECTOR_BYTES + cluster * 4, next);
    }

    InputStream file() throws IOException {
      Fat fat = Fat.open(Drive.of(this, budget()));
      return fat.open(fat.find("/FILE").orElseThrow());
    }

    @Override
    public void read(long offsetBytes, ByteBuffer destination) {
      while (destination.hasRemaining()) {
        long at = offsetBytes++;
        destination.put(at < front.limit() ? front.get((int) at) : 0);
      }
    }
  }

  private static Budget budget() {
    return new Budget(Duration.ofMinutes(5), 1 << 20, System::nanoTime);
  }

  /** The file claims 4 GiB and the boot sector 2 TiB, of which 1 MiB is there. */
  @Test
  void circleOfClustersEndsWhereTheDriveWouldBeFull() {
    Image image = Image.of(1 << 20, 16);
    image.follow(FILE_CLUSTER, FILE_CLUSTER);
    DamagedException found = assertThrows(DamagedException.class, image::file);
    assertEquals("the clusters of a file go round in a circle", found.getMessage());
  }

  @Test
  void fileBehindTheEndOfTheDriveIsDamaged() {
    Image image = Image.of(1 << 20, 16);
    image.follow(FILE_CLUSTER, 5000);
    DamagedException found = assertThrows(DamagedException.class, image::file);
    assertEquals("a file lies behind the end of the drive", found.getMessage());
  }

  @Test
  void fileInEveryOtherClusterIsReadUpToANumberOfPieces() throws Exception {
    Image image = Image.of(110 << 20, 2048);
    for (int cluster = FILE_CLUSTER; cluster < 210_000; cluster += 2) {
      image.follow(cluster, cluster + 2);
    }
    image.follow(20_001, END);
    try (InputStream file = image.file()) {
      assertEquals(10_000 * SECTOR_BYTES, file.skip(Long.MAX_VALUE));
    }
    image.follow(20_001, 20_003);
    UnreadableException found = assertThrows(UnreadableException.class, image::file);
    assertEquals("a file lies in more than 100000 pieces", found.getMessage());
  }
}
