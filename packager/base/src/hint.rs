/// Advice that belongs to an error but is not part of its message: printed after it as `hint: …`.
pub trait Hint {
    /// What the reader can do next, when there is something to do.
    fn hint(&self) -> Option<String>;
}
