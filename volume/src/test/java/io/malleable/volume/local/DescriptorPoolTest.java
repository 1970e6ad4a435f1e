package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a store's files do when there are more of them than descriptors. */
final class DescriptorPoolTest {
  private static final int LIMIT = 4;

  @TempDir private Path directory;
  private final DescriptorPool pool = new DescriptorPool(LIMIT);
  private final List<StoreFile> files = new ArrayList<>();
  private LocalFiles store;

  @BeforeEach
  void open() throws IOException {
    store = new LocalFiles(directory, pool);
    store.createDirectory("d");
  }

  @AfterEach
  void close() throws IOException {
    StoreFile.closeAll(files);
    assertEquals(0, pool.size(), "closed files give their descriptors back");
    assertEquals(0, descriptors());
  }

  /** What the kernel says: how many descriptors of this process are files of the store. */
  private long descriptors() throws IOException {
    return descriptors(directory.toRealPath().toString());
  }

  private long descriptors(StoreFile of) throws IOException {
    return descriptors(directory.toRealPath().resolve(name(of)).toString());
  }

  private static long descriptors(String prefix) throws IOException {
    long count = 0;
    try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
      for (Path each : all.toList()) {
        try {
          // A deleted file's name has " (deleted)" behind it.
          count += Files.readSymbolicLink(each).toString().startsWith(prefix) ? 1 : 0;
        } catch (NoSuchFileException e) {
          // The one of the listing itself.
        }
      }
    }
    return count;
  }

  private String name(StoreFile file) {
    return "d/" + files.indexOf(file) + ".file";
  }

  /** A file that holds its number, written and synced. */
  private StoreFile synced() throws IOException {
    StoreFile file = store.create("d/" + files.size() + ".file");
    files.add(file);
    write(file, files.size() - 1);
    file.sync();
    return file;
  }

  private void openMany() throws IOException {
    for (int i = 0; i < 3 * LIMIT; i++) {
      synced();
    }
  }

  private static void write(StoreFile file, long value) throws IOException {
    file.write(0, ByteBuffer.allocate(8).putLong(value).flip());
  }

  private static long read(StoreFile file) throws IOException {
    ByteBuffer content = ByteBuffer.allocate(8);
    file.read(0, content);
    return content.flip().getLong();
  }

  @Test
  void anyNumberOfFilesIsInUseWithAFewDescriptors() throws IOException {
    for (int i = 0; i < 200; i++) {
      synced();
      assertTrue(pool.size() <= LIMIT, () -> pool.size() + " are open");
    }
    for (int round = 0; round < 2; round++) {
      for (int i = 0; i < files.size(); i++) {
        assertEquals(i, read(files.get(i)));
      }
    }
    assertEquals(LIMIT, descriptors());
  }

  @Test
  void aFileThatIsReadAllTheTimeIsNotClosedForOthers() throws IOException {
    StoreFile golden = synced();
    for (int i = 0; i < 3 * LIMIT; i++) {
      synced();
      assertEquals(1, descriptors(golden), "before file " + i);
      assertEquals(0, read(golden));
    }
    openMany();
    assertEquals(0, descriptors(golden), "nobody reads it any more");
  }

  @Test
  void whatIsNotSyncedKeepsItsDescriptor() throws IOException {
    StoreFile disk = synced();
    write(disk, 0);
    openMany();
    assertEquals(1, descriptors(disk));
    disk.sync();
    openMany();
    assertEquals(0, descriptors(disk));

    disk.punchHole(0, 4096);
    openMany();
    assertEquals(1, descriptors(disk), "a hole is a write");
    disk.sync();
    openMany();
    assertEquals(0, descriptors(disk));
    write(disk, files.indexOf(disk));
    disk.sync();
  }

  @Test
  void moreUnsyncedFilesThanDescriptorsGoBeyondTheBoundUntilTheyAreSynced() throws IOException {
    openMany();
    for (StoreFile file : files) {
      write(file, 7);
    }
    assertEquals(files.size(), descriptors());
    for (StoreFile file : files) {
      file.sync();
    }
    synced();
    assertEquals(LIMIT, descriptors());
  }

  @Test
  void aSyncDoesNotCoverAWriteThatEndsWhileItRuns() throws IOException {
    try (FileChannel channel = FileChannel.open(directory)) {
      PooledChannel pooled = PooledChannel.held(channel, pool.openings(), false);
      pooled.releaseWritten();
      assertFalse(pooled.retire(), "unsynced");

      assertTrue(pooled.hold());
      long mark = pooled.syncMark();
      assertTrue(pooled.hold());
      pooled.releaseWritten();
      pooled.onSynced(mark);
      pooled.release();
      assertFalse(pooled.retire(), "unsynced since");

      assertTrue(pooled.hold());
      pooled.onSynced(pooled.syncMark());
      assertFalse(pooled.retire(), "in use");
      pooled.release();
      assertTrue(pooled.retire());
      assertFalse(pooled.hold(), "given back");
      assertFalse(pooled.retire(), "given back once");
    }
  }

  @Test
  void aSyncThatBeganEarlierDoesNotTakeALaterOneBack() throws IOException {
    try (FileChannel channel = FileChannel.open(directory)) {
      PooledChannel pooled = PooledChannel.held(channel, pool.openings(), true);
      long early = pooled.syncMark();
      pooled.releaseWritten();
      long late = pooled.syncMark();
      pooled.onSynced(late);
      pooled.onSynced(early);
      assertTrue(pooled.retire());
    }
  }

  @Test
  void anInterruptDoesNotMakeAnUnsyncedFileLookSynced() throws IOException {
    StoreFile disk = synced();
    Thread.currentThread().interrupt();
    write(disk, 9);
    assertTrue(Thread.interrupted());
    openMany();
    assertEquals(1, descriptors(disk));
    assertEquals(9, read(disk));
    disk.sync();
    openMany();
    assertEquals(0, descriptors(disk));
  }

  @Test
  void whoHasAFileGoesOnWithItWhenItIsDeleted() throws IOException {
    StoreFile pack = synced();
    openMany();
    assertEquals(0, descriptors(pack));
    store.delete(name(pack));
    openMany();
    assertEquals(0, read(pack));
  }

  @Test
  void whoHasAFileGoesOnWithItWhenAnotherTakesItsName() throws IOException {
    StoreFile old = synced();
    StoreFile fresh = synced();
    openMany();
    store.rename(name(fresh), name(old));
    openMany();
    assertEquals(0, read(old));
    assertEquals(1, read(fresh));
    try (StoreFile now = store.open(name(old))) {
      assertEquals(1, read(now));
    }
  }

  @Test
  void aFileThatWasReplacedByHandIsNotTakenForTheOldOne() throws IOException {
    StoreFile disk = synced();
    openMany();
    Path path = directory.resolve(name(disk));
    Path copy = Files.copy(path, directory.resolve("copy"));
    Files.move(copy, path, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    IOException refused = assertThrows(IOException.class, () -> read(disk));
    assertTrue(refused.toString().contains("is not the file"), refused::toString);
    assertThrows(IOException.class, () -> disk.punchHole(0, 4096));
    assertEquals(0, Files.readAllBytes(path)[7]);
  }

  @Test
  void manyThreadsFindTheirDataWhateverIsClosedUnderThem() throws Exception {
    for (int i = 0; i < 24; i++) {
      synced();
    }
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Future<?>> running = new ArrayList<>();
      for (int thread = 0; thread < 8; thread++) {
        SplittableRandom random = new SplittableRandom(thread);
        running.add(
            threads.submit(() -> {
              for (int i = 0; i < 3000; i++) {
                int number = random.nextInt(files.size());
                StoreFile file = files.get(number);
                switch (random.nextInt(8)) {
                  case 0 -> write(file, number);
                  case 1 -> file.sync();
                  case 2 -> Thread.currentThread().interrupt();
                  default -> assertEquals(number, read(file));
                }
                if (Thread.interrupted() && random.nextInt(50) == 0) {
                  file.sync();
                }
              }
              return null;
            }));
      }
      for (Future<?> each : running) {
        each.get();
      }
    }
    for (StoreFile file : files) {
      file.sync();
    }
    synced();
    assertEquals(LIMIT, descriptors());
  }

  @Test
  void aProcessWithoutDescriptorsStillReadsAndWritesItsVolumes() throws Exception {
    ChildJava.run(
        List.of("prlimit", "--nofile=200:200"),
        DescriptorShortage.class,
        directory.resolve("store").toString(),
        directory.resolve("scenario.log"));
  }
}
