package io.malleable.lab;

/** What the builder of an image is at; told on a thread of its own. */
@FunctionalInterface
public interface ImageProgress {
  /**
   * A step begins, or goes on with another text.
   *
   * @param step from 1; equal to {@code steps} in the last one; 0 while another build is waited for
   */
  void onStep(int step, int steps, String text);
}
