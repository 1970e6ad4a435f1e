package io.malleable.image;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.List;

/** What somebody's initramfs can hold. Any exception but the declared ones is a finding. */
class InitramfsFuzzTest {
  @FuzzTest(maxDuration = "")
  void initramfs(byte[] bytes) {
    Initramfs initramfs = Initramfs.empty(DriveInMemory.budget(), InitramfsCheck::reads);
    try {
      initramfs.add(new ByteArrayInputStream(bytes));
    } catch (DamagedException | UnreadableException expected) {
      // The two ways in which bytes that are no initramfs may end; what came before is looked at.
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    BootEntry entry = new BootEntry("", "/vmlinuz", List.of(), "root=UUID=1", "");
    new InitramfsCheck(initramfs, entry, "", new Findings()).check("6.1", "ext4");
  }
}
