package io.malleable.image;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.util.Optional;

/** What a drive with somebody's image can hold. Any exception is a finding. */
class DriveFuzzTest {
  /** Partition table, FAT, ext. */
  @FuzzTest(maxDuration = "")
  void drive(byte[] bytes) {
    try {
      BootCheck.check(new DriveInMemory(bytes), Optional.empty(), DriveInMemory.budget());
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }
}
