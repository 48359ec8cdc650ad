// A model that does nothing: the program with it is what others' sizes are compared with.
pub struct Model([i8; 4]);

impl Model {
    pub const fn new() -> Self {
        Model([0; 4])
    }
    pub fn input_mut(&mut self) -> &mut [i8; 4] {
        &mut self.0
    }
    pub fn run(&mut self) {}
    pub fn output(&self) -> &[i8; 4] {
        &self.0
    }
}
