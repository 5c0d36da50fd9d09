//! A guard that runs a function.

/// Runs the function when it is dropped, also if a future that holds it is abandoned.
pub(super) struct OnDrop<F: FnMut()>(pub(super) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
